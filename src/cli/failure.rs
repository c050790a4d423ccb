//! How a verb ends badly: a message and an exit code.

use crate::config::ConfigError;
use crate::data::DataError;
use crate::device::DeviceError;
use crate::query::QueryError;
use crate::report::ReportError;
use crate::run::{RunError, run_dir_exit_code};
use crate::rundir::RunDirError;
use crate::stream::StreamError;
use crate::sweep::SweepError;

/// A message for people and the exit code of the process.
pub(super) struct Failure {
    /// See `--help`.
    pub code: u8,
    /// Whether the document on stdout says it already.
    pub documented: bool,
    kind: Kind,
}

enum Kind {
    Message(String),
    Config(Box<ConfigError>),
}

impl Failure {
    /// A failure with this exit code.
    pub(super) fn new(code: u8, message: impl Into<String>) -> Failure {
        Failure { code, documented: false, kind: Kind::Message(message.into()) }
    }

    /// The same failure of a verb whose document says what is wrong.
    pub(super) fn already_documented(self) -> Failure {
        Failure { documented: true, ..self }
    }

    /// The same failure with a line on how to go on.
    pub(super) fn with_hint(self, hint: &str) -> Failure {
        match self.kind {
            Kind::Message(message) => Failure::new(self.code, format!("{message}\n{hint}")),
            Kind::Config(_) => self,
        }
    }

    pub(super) fn render(&self, colour: bool) -> String {
        match &self.kind {
            Kind::Message(message) if colour => format!("\x1b[1;31merror\x1b[0m: {message}"),
            Kind::Message(message) => format!("error: {message}"),
            Kind::Config(error) => error.render(colour),
        }
    }

    pub(super) fn to_json(&self) -> serde_json::Value {
        match &self.kind {
            Kind::Message(message) => serde_json::json!({"error": message, "exit_code": self.code}),
            Kind::Config(error) => serde_json::json!({"errors": error.to_json(), "exit_code": self.code}),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Failure {
        Failure { code: 2, documented: false, kind: Kind::Config(Box::new(error)) }
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Failure {
        Failure::new(error.exit_code(), error.to_string())
    }
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Failure {
        // A description is printed whole before it fails.
        let documented = matches!(error, DataError::NotBars(_));
        Failure { documented, ..Failure::from(RunError::from(error)) }
    }
}

impl From<RunDirError> for Failure {
    fn from(error: RunDirError) -> Failure {
        Failure::new(run_dir_exit_code(&error), error.to_string())
    }
}

impl From<SweepError> for Failure {
    fn from(error: SweepError) -> Failure {
        Failure::new(error.exit_code(), error.to_string())
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Failure {
        match error {
            QueryError::RunDir(error) => error.into(),
            error => Failure::new(2, error.to_string()),
        }
    }
}

impl From<StreamError> for Failure {
    fn from(error: StreamError) -> Failure {
        Failure::new(error.exit_code(), error.to_string())
    }
}

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Failure {
        Failure::from(RunError::from(error))
    }
}

impl From<DeviceError> for Failure {
    fn from(error: DeviceError) -> Failure {
        Failure::new(5, error.to_string())
    }
}
