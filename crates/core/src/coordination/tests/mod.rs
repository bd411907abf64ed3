mod bind;
mod path;
mod server;
mod session;
mod wire;

use super::{Answer, Ask, Bound, Question, Server, Unanswered};
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// A server on a socket in a directory of its own.
struct Service {
    directory: TempDir,
    bound: Bound,
    server: Server,
    questions: mpsc::UnboundedReceiver<Question>,
}

impl Service {
    fn start() -> Service {
        let directory = tempfile::tempdir().unwrap();
        let bound = super::bind(&directory.path().join("s.sock")).unwrap();
        let (sender, questions) = mpsc::unbounded_channel();
        let server = Server::start(&bound, sender, &Unanswered::default()).unwrap();
        Service { directory, bound, server, questions }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("s.sock")
    }

    /// The next question must be `ask`; answers it.
    async fn answer(&mut self, ask: Ask, answer: Answer) {
        let question = timeout(Duration::from_secs(20), self.questions.recv()).await.expect("not heard").unwrap();
        assert_eq!(question.ask, ask);
        let _ = question.reply.send(answer);
    }
}
