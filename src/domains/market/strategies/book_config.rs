//! The settings of one book: a strategy, and what replaces parts of the section `backtest` for it.

use super::StrategyConfig;
use crate::domains::market::backtest::{BacktestConfig, Exits, Sizing};

/// The settings of one book.
#[derive(Clone, Debug, PartialEq)]
pub struct BookConfig {
    /// The strategy.
    pub strategy: StrategyConfig,
    /// Exits in place of those of the section `backtest`.
    pub exits: Option<Exits>,
    /// Sizing in place of that of the section `backtest`.
    pub sizing: Option<Sizing>,
}

/// A combination that makes no sense.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// Where: a path below the entry, `sma_cross`, `exits` or `sizing`.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

impl BookConfig {
    /// Whether the settings make sense, each part for itself.
    ///
    /// # Errors
    /// Says which part does not, and why.
    pub fn check(&self) -> Result<(), Fault> {
        let fault = |path: &str, message| Fault { path: path.to_owned(), message };
        self.strategy.build().check().map_err(|message| fault(self.strategy.name(), message))?;
        if let Some(exits) = &self.exits {
            exits.check().map_err(|message| fault("exits", message))?;
        }
        match &self.sizing {
            Some(sizing) => sizing.check().map_err(|message| fault("sizing", message)),
            None => Ok(()),
        }
    }

    /// Whether what replaces parts of the section `backtest` fits its other parts; what is wrong without the
    /// replacement is not told again.
    ///
    /// # Errors
    /// Says what does not fit.
    pub fn check_within(&self, backtest: &BacktestConfig) -> Result<(), Fault> {
        let path = match (&self.exits, &self.sizing) {
            (None, None) => return Ok(()),
            (_, Some(_)) => "sizing",
            (Some(_), None) => "exits",
        };
        if backtest.check().is_err() {
            return Ok(());
        }
        self.settings(backtest).check().map_err(|message| Fault { path: path.to_owned(), message })
    }

    /// How the book is run: the section `backtest` with what the entry replaces.
    pub fn settings(&self, backtest: &BacktestConfig) -> BacktestConfig {
        let mut settings = backtest.clone();
        if let Some(exits) = &self.exits {
            settings.exits = exits.clone();
        }
        if let Some(sizing) = &self.sizing {
            settings.sizing = sizing.clone();
        }
        settings
    }
}
