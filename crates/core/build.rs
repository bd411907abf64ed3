//! Builds the launcher, which this crate embeds on Linux: the addon alone must suffice to start a new generation.
//!
//! $SHELLFLIP_LAUNCHER_FILE names one that is built already, for the target that this crate is built for: a C library
//! that cannot be linked statically has another one's launcher. Otherwise a nested cargo builds it, because the launcher needs what the addon must not have: its own profile, a static C library, and
//! none of the flags, wrappers or instrumentation of the build around it.

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Names a launcher that is built already. An absolute path.
const PREBUILT: &str = "SHELLFLIP_LAUNCHER_FILE";

/// What cargo, clippy or a coverage tool set for the build around this one.
const NOT_FOR_THE_LAUNCHER: [&str; 9] = [
    "CARGO_MAKEFLAGS",
    "MAKEFLAGS",
    "RUSTFLAGS",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "CARGO_BUILD_RUSTC_WRAPPER",
    "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
    "CLIPPY_ARGS",
    "LLVM_PROFILE_FILE",
];

fn main() -> Result<(), Box<dyn Error>> {
    if env::var("CARGO_CFG_TARGET_OS")? != "linux" {
        return Ok(());
    }
    println!("cargo::rerun-if-env-changed={PREBUILT}");
    if let Some(launcher) = env::var_os(PREBUILT).map(PathBuf::from) {
        println!("cargo::rerun-if-changed={}", launcher.display());
        println!("cargo::rustc-env=SHELLFLIP_LAUNCHER={}", launcher.display());
        return Ok(());
    }
    let manifest = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../launcher/Cargo.toml");
    for input in ["../launcher/src", "../launcher/Cargo.toml", "../../Cargo.toml", "../../Cargo.lock"] {
        println!("cargo::rerun-if-changed={input}");
    }
    let launcher = match build(&manifest, "-Ctarget-feature=+crt-static") {
        Ok(launcher) => launcher,
        // A toolchain without libc.a. The addon itself needs the C library there, so the launcher may.
        Err(error) => {
            println!("cargo::warning=the launcher cannot be linked statically here ({error}); linking it dynamically");
            build(&manifest, "-Ctarget-feature=-crt-static")?
        }
    };
    println!("cargo::rustc-env=SHELLFLIP_LAUNCHER={}", launcher.display());
    Ok(())
}

fn build(manifest: &Path, flags: &str) -> Result<PathBuf, Box<dyn Error>> {
    let target = env::var("TARGET")?;
    let directory = Path::new(&env::var("OUT_DIR")?).join("launcher");
    let mut cargo = Command::new(env::var("CARGO")?);
    for name in NOT_FOR_THE_LAUNCHER {
        cargo.env_remove(name);
    }
    let output = cargo
        .args(["build", "--locked", "--profile", "launcher", "--bin", "shellflip-launcher"])
        .args(["--target", &target, "--manifest-path"])
        .arg(manifest)
        .arg("--target-dir")
        .arg(&directory)
        // One that is shared is locked by the build around this one.
        .env("CARGO_BUILD_BUILD_DIR", &directory)
        .env("CARGO_ENCODED_RUSTFLAGS", flags)
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(directory.join(target).join("launcher/shellflip-launcher"))
}
