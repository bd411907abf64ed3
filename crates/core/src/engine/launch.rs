//! Starting the new generation: which descriptors and variables it gets. Runs on the JavaScript thread.

use super::{Shared, lock};
use crate::channel;
use crate::environment::{CHANNEL, GENERATION, HANDOVER, READINESS, RESTART_SOCKET};
use crate::error::{Code, Failure};
use crate::listener::Shared as Listed;
use crate::message::Offered;
use crate::portable;
use crate::spawn::{self, Launcher, Spec};
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;

/// What JavaScript knows of the new generation.
#[derive(Debug, Default)]
pub struct Launch {
    /// The program.
    pub file: OsString,
    /// Its arguments, `argv[0]` first.
    pub args: Vec<OsString>,
    /// Its whole environment, but for the variables of the handover.
    pub environment: Vec<(OsString, OsString)>,
    /// Where it is to start.
    pub cwd: OsString,
    /// The ticket keys of our TLS listeners, by name.
    pub tickets: HashMap<String, Vec<u8>>,
}

/// A launcher on its way, and our ends of everything it carries.
pub(crate) struct Launched {
    pub launcher: Launcher,
    pub readiness: OwnedFd,
    pub handover: OwnedFd,
    pub channel: OwnedFd,
    /// The new generation's own end, until it is known that it reads it.
    pub channel_new: OwnedFd,
    pub listeners: Vec<(Offered, OwnedFd)>,
    /// The program and the directory, as asked for.
    pub program: (OsString, OsString),
}

/// As much as an unprivileged process may have (pipe(7), pipe-max-size): fewer wake-ups for a large state.
const PIPE_SIZE: usize = 1 << 20;

pub(crate) fn launch(shared: &Shared, launch: Launch) -> Result<Launched, Failure> {
    let ends =
        Ends::make().map_err(|error| spawn::refused("cannot make pipes for the new generation", "pipe", &error))?;
    let listeners = lock(&shared.registry)
        .share()
        .map_err(|error| spawn::refused("cannot duplicate a listener for the new generation", "dup", &error))?;
    let listeners = listeners
        .into_iter()
        .map(|shared| {
            let tickets = launch.tickets.get(&shared.name).cloned();
            let Listed { name, address, source, file, fd } = shared;
            (Offered { name, address, source, file, tickets }, fd)
        })
        .collect();

    // The k-th of these becomes descriptor 3 + k of the new generation.
    let mut pass = vec![ends.notify, ends.handover_reader, ends.channel_passed];
    let mut environment = launch.environment;
    let mut set = |name: &str, value: String| environment.push((name.into(), value.into()));
    set(READINESS, "3".into());
    set(HANDOVER, "4".into());
    set(CHANNEL, format!("{}:5:{{pid}}", shared.versions.newest));
    set(GENERATION, (shared.generation + 1).to_string());
    if let Some(socket) = &lock(&shared.view).socket {
        let socket = socket.try_clone().map_err(|error| {
            spawn::refused("cannot duplicate the coordination socket for the new generation", "dup", &error)
        })?;
        set(RESTART_SOCKET, "6".into());
        pass.push(socket);
    }
    let mut pid_bound = vec![OsString::from(CHANNEL)];
    pid_bound.extend(rebind_systemd(&mut environment));

    let program = (launch.file.clone(), launch.cwd.clone());
    let spec = Spec { file: launch.file, args: launch.args, env: environment, pid_bound, cwd: launch.cwd, pass };
    let image = lock(&shared.image);
    let Some(image) = image.as_ref() else {
        return Err(Failure::new(Code::SpawnFailed, "the launcher has not been prepared"));
    };
    let launcher = spawn::start(image, spec)?;
    Ok(Launched {
        launcher,
        readiness: ends.readiness,
        handover: ends.handover,
        channel: ends.channel,
        channel_new: ends.channel_new,
        listeners,
        program,
    })
}

/// systemd.exec(5): `SYSTEMD_EXEC_PID` names the process that systemd started. It goes on naming the service's main
/// process only if it named us.
fn rebind_systemd(environment: &mut [(OsString, OsString)]) -> Option<OsString> {
    let ours = std::process::id().to_string();
    let entry = environment.iter_mut().find(|(name, _)| name == "SYSTEMD_EXEC_PID")?;
    if entry.1 != OsStr::new(&ours) {
        return None;
    }
    entry.1 = "{pid}".into();
    Some(entry.0.clone())
}

/// Both ends of the two pipes and of the channel; all close-on-exec, ours not blocking.
struct Ends {
    readiness: OwnedFd,
    notify: OwnedFd,
    handover: OwnedFd,
    handover_reader: OwnedFd,
    channel: OwnedFd,
    channel_new: OwnedFd,
    channel_passed: OwnedFd,
}

impl Ends {
    fn make() -> io::Result<Ends> {
        let (readiness, notify) = io::pipe()?;
        let (handover_reader, handover) = io::pipe()?;
        let (readiness, notify) = (OwnedFd::from(readiness), notify.into());
        let (handover_reader, handover) = (handover_reader.into(), OwnedFd::from(handover));
        rustix::io::ioctl_fionbio(&readiness, true)?;
        rustix::io::ioctl_fionbio(&handover, true)?;
        portable::enlarge(&handover, PIPE_SIZE);
        let (channel, channel_new) = channel::pair()?;
        let channel_passed = channel_new.try_clone()?;
        Ok(Ends { readiness, notify, handover, handover_reader, channel, channel_new, channel_passed })
    }
}
