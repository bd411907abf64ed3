//! Whether a service that has ended is started again, and when.

use super::sys::Status;
use crate::args::Policy;
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);
/// A service that ran so long starts anew: its last failure is not counted with the ones before.
const SOUND: Duration = Duration::from_secs(10);

/// Starts again and again, with growing pauses while it fails at once.
pub struct Backoff {
    policy: Policy,
    pause: Duration,
}

impl Backoff {
    pub fn new(policy: Policy) -> Self {
        Backoff { policy, pause: FIRST }
    }

    /// After how long the service is to be started again; `None`: it is not.
    pub fn after(&mut self, end: Status, ran: Duration) -> Option<Duration> {
        let again = match self.policy {
            Policy::Never => false,
            Policy::OnFailure => end != Status::Exited(0),
            Policy::Always => true,
        };
        if ran >= SOUND {
            self.pause = FIRST;
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST);
        again.then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_policy_restarts_what_it_says() {
        let again = |policy, end| Backoff::new(policy).after(end, Duration::ZERO).is_some();
        for end in [Status::Exited(0), Status::Exited(1), Status::Killed(9)] {
            assert!(!again(Policy::Never, end));
            assert!(again(Policy::Always, end));
            assert_eq!(again(Policy::OnFailure, end), end != Status::Exited(0));
        }
    }

    #[test]
    fn pauses_grow_to_ten_seconds_and_begin_again_after_a_sound_run() {
        let mut backoff = Backoff::new(Policy::Always);
        let mut pause = |ran| backoff.after(Status::Exited(1), ran).unwrap();
        let pauses: Vec<_> = (0..9).map(|_| pause(Duration::ZERO).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(pause(SOUND), FIRST);
    }
}
