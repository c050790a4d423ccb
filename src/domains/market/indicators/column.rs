//! A column of the data beside price and volume.

use super::log_return::log_returns;
use super::{Indicator, Memory};
use crate::table::{Bars, NULL};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An extra column of the data (`data.columns.extra`) as a feature: a ratio of order-book depth, a funding rate. Null where
/// the column is null.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Column {
    /// The name that `data.columns.extra` gives it.
    pub name: String,
    /// What is made of it: as_is, log or log_change.
    pub form: ColumnForm,
}

/// What is made of a column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ColumnForm {
    /// The value itself; the feature has the column's name.
    #[default]
    AsIs,
    /// Its natural logarithm, null where the value is not above 0; the feature is `log_NAME`. For ratios, of which 2 and 1/2
    /// lie equally far from 1.
    Log,
    /// The natural logarithm of the value over that of the bar before, null where either is not above 0; the feature is
    /// `log_change_NAME`.
    LogChange,
}

impl Default for Column {
    fn default() -> Self {
        Column { name: "blr".into(), form: ColumnForm::AsIs }
    }
}

impl Indicator for Column {
    fn names(&self) -> Vec<String> {
        let name = &self.name;
        vec![match self.form {
            ColumnForm::AsIs => name.clone(),
            ColumnForm::Log => format!("log_{name}"),
            ColumnForm::LogChange => format!("log_change_{name}"),
        }]
    }

    fn warm_up(&self) -> usize {
        usize::from(self.form == ColumnForm::LogChange)
    }

    fn check(&self) -> Result<(), String> {
        if self.name.is_empty() {
            return Err("`name` is empty; write the name of a column of `data.columns.extra`".into());
        }
        Ok(())
    }

    fn extra_column(&self) -> Option<&str> {
        Some(&self.name)
    }

    fn compute(&self, bars: &Bars) -> Vec<Vec<Vec<f64>>> {
        let column = |values: &[f64]| {
            let positive = || values.iter().map(|value| if *value > 0.0 { *value } else { NULL });
            match self.form {
                ColumnForm::AsIs => values.to_vec(),
                ColumnForm::Log => positive().map(f64::ln).collect(),
                ColumnForm::LogChange => log_returns(&positive().collect::<Vec<f64>>(), 1),
            }
        };
        super::extra_columns(bars, &self.name).map(|values| vec![column(&values)]).collect()
    }

    fn memory(&self) -> Memory {
        Memory::rows(self.warm_up() + 1)
    }
}
