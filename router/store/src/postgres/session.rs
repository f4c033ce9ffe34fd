//! One connection with its prepared statements.

use std::cell::RefCell;
use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSqlOwned, ToSql};
use tokio_postgres::{Client, Row, SimpleQueryMessage, Statement};

use super::url::Target;
use crate::store::StoreError;

/// Why something did not work.
#[derive(Debug)]
pub(super) enum Fault {
    /// The connection is gone, or was never there.
    Lost(String),
    /// The server undid the transaction in favour of another one; it may be tried again.
    Undone(String),
    /// A row of this constraint is there already.
    Taken { constraint: String, message: String },
    /// It would fail again.
    Refused(StoreError),
}

impl Fault {
    pub(super) fn into_error(self) -> StoreError {
        match self {
            Self::Lost(reason) | Self::Undone(reason) => {
                StoreError::Database(format!("PostgreSQL: {reason}"))
            }
            Self::Taken { message, .. } => StoreError::Database(format!("PostgreSQL: {message}")),
            Self::Refused(error) => error,
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(said) = error.as_db_error() else {
            let mut text = error.to_string();
            let mut source = error.source();
            let mut lost = error.is_closed();
            while let Some(cause) = source {
                lost |= cause.is::<std::io::Error>();
                // The client repeats its causes in some of its own texts.
                let cause_text = cause.to_string();
                if !text.ends_with(&cause_text) {
                    text = format!("{text}: {cause_text}");
                }
                source = cause.source();
            }
            return match lost {
                true => Self::Lost(text),
                false => Self::Refused(StoreError::Database(format!("PostgreSQL: {text}"))),
            };
        };
        // Without the detail, which may quote values.
        let message = format!("{} ({})", said.message(), said.code().code());
        let code = said.code();
        if code == &SqlState::T_R_DEADLOCK_DETECTED || code == &SqlState::T_R_SERIALIZATION_FAILURE {
            return Self::Undone(message);
        }
        if code == &SqlState::UNIQUE_VIOLATION {
            return Self::Taken { constraint: said.constraint().unwrap_or_default().to_owned(), message };
        }
        // Class 08: the connection; 57P: the server stops or starts; 25P03: the session stood still for too long;
        // 25006: it became a standby, and a new connection may find the one that writes.
        if code.code().starts_with("08")
            || code.code().starts_with("57P")
            || matches!(code.code(), "25P03" | "25006")
        {
            return Self::Lost(message);
        }
        Self::Refused(StoreError::Database(format!("PostgreSQL: {message}")))
    }
}

/// A connection.
pub(super) struct Session {
    client: Client,
    statements: RefCell<HashMap<String, Statement>>,
    task: AbortHandle,
}

impl Drop for Session {
    fn drop(&mut self) {
        // A server that hangs would keep the socket open else, and with it a transaction.
        self.task.abort();
    }
}

impl Session {
    /// Connects. The server gives up on a statement after `within` by itself.
    pub(super) async fn connect(target: &Target, within: Duration) -> Result<Self, Fault> {
        let (client, connection) = target.config.connect(target.tls.clone()).await.map_err(|error| {
            // Whatever is in the way of a connection may pass.
            match Fault::from(error) {
                Fault::Refused(StoreError::Database(reason)) => {
                    Fault::Lost(reason.trim_start_matches("PostgreSQL: ").to_owned())
                }
                fault => fault,
            }
        })?;
        // Its error is told to the client's caller too.
        let task = Handle::current().spawn(async move { drop(connection.await) }).abort_handle();
        let ms = within.as_millis();
        let session = Self { client, statements: RefCell::default(), task };
        session
            .client
            .batch_execute(&format!(
                "SET statement_timeout = {ms}; SET idle_in_transaction_session_timeout = {ms};
                 SET client_min_messages = error;
                 -- A commit that returned survives a crash, also where the database would not have it so.
                 SELECT set_config('synchronous_commit', 'on', false)
                   WHERE current_setting('synchronous_commit') = 'off'"
            ))
            .await?;
        Ok(session)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    async fn statement(&self, sql: &str) -> Result<Statement, Fault> {
        let known = self.statements.borrow().get(sql).cloned();
        if let Some(statement) = known {
            return Ok(statement);
        }
        let statement = self.client.prepare(sql).await?;
        self.statements.borrow_mut().insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    pub(super) async fn rows(&self, sql: &str, given: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Fault> {
        let statement = self.statement(sql).await?;
        Ok(self.client.query(&statement, given).await?)
    }

    pub(super) async fn row(&self, sql: &str, given: &[&(dyn ToSql + Sync)]) -> Result<Option<Row>, Fault> {
        Ok(self.rows(sql, given).await?.into_iter().next())
    }

    /// Returns the first column of the first row.
    pub(super) async fn value<T: FromSqlOwned>(
        &self,
        sql: &str,
        given: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<T>, Fault> {
        match self.row(sql, given).await? {
            Some(row) => Ok(Some(row.try_get(0)?)),
            None => Ok(None),
        }
    }

    /// Returns how many rows it concerned.
    pub(super) async fn run(&self, sql: &str, given: &[&(dyn ToSql + Sync)]) -> Result<u64, Fault> {
        let statement = self.statement(sql).await?;
        Ok(self.client.execute(&statement, given).await?)
    }

    /// Runs statements without parameters; returns how many rows each concerned.
    pub(super) async fn batch(&self, sql: &str) -> Result<Vec<u64>, Fault> {
        let messages = self.client.simple_query(sql).await?;
        let counts = messages.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::CommandComplete(count) => Some(count),
            _ => None,
        });
        Ok(counts.collect())
    }
}
