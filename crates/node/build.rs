//! Links the addon as Node expects it.

fn main() {
    napi_build::setup();
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        // A library unloaded under its own living thread crashes worker threads. Here, not among the flags of rustc, which
        // whoever sets RUSTFLAGS replaces.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
