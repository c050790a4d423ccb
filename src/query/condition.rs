//! Which rows are wanted: a column, a comparison, a value.

use super::QueryError;
use crate::rundir::Column;
use crate::units::Time;
use std::cmp::Ordering;
use std::str::FromStr;

/// `horizon=5`, `timestamp>=2024-01-01`, `actual!=null`.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// The column's name.
    pub column: String,
    comparison: Comparison,
    value: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Comparison {
    Equal,
    Different,
    Above,
    AtLeast,
    Below,
    AtMost,
}

/// Those of two characters first, since the others are their beginnings.
const COMPARISONS: [(&str, Comparison); 6] = [
    (">=", Comparison::AtLeast),
    ("<=", Comparison::AtMost),
    ("!=", Comparison::Different),
    ("=", Comparison::Equal),
    (">", Comparison::Above),
    ("<", Comparison::Below),
];

/// The word for a number that is not there.
const NULL: &str = "null";

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Condition, String> {
        let hint =
            || format!("`{text}` is no condition; write COLUMN=VALUE, or one of != >= <= > < in place of =");
        let start = text.find(['=', '!', '<', '>']).ok_or_else(hint)?;
        let (column, rest) = text.split_at(start);
        let found =
            COMPARISONS.iter().find_map(|(sign, comparison)| Some((*comparison, rest.strip_prefix(sign)?)));
        let (comparison, value) = found.filter(|_| !column.trim().is_empty()).ok_or_else(hint)?;
        Ok(Condition { column: column.trim().into(), comparison, value: value.trim().into() })
    }
}

impl Comparison {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Comparison::Equal => order.is_eq(),
            Comparison::Different => order.is_ne(),
            Comparison::Above => order.is_gt(),
            Comparison::AtLeast => order.is_ge(),
            Comparison::Below => order.is_lt(),
            Comparison::AtMost => order.is_le(),
        }
    }
}

impl Condition {
    /// Leaves those of `rows` that meet the condition. A null meets only `=null`, and what is not null only `!=null`.
    ///
    /// # Errors
    /// A value that is not of the column's kind.
    pub(super) fn keep(&self, column: &Column, rows: &mut Vec<usize>) -> Result<(), QueryError> {
        let (comparison, value) = (self.comparison, self.value.as_str());
        let wrong = |kind: &str| {
            QueryError::Condition(format!("`{value}` is no {kind}, which the column {} holds", self.column))
        };
        let number = || value.parse::<f64>().map_err(|_| wrong("number"));
        match column {
            Column::Float(values) if value == NULL => match comparison {
                Comparison::Equal => rows.retain(|row| values[*row].is_nan()),
                Comparison::Different => rows.retain(|row| !values[*row].is_nan()),
                _ => return Err(QueryError::Condition("null can only be compared by = and !=".into())),
            },
            Column::Float(values) => {
                let number = number()?;
                rows.retain(|row| {
                    values[*row].partial_cmp(&number).is_some_and(|order| comparison.holds(order))
                });
            }
            Column::Integer(values) => {
                let number = number()?;
                let order = |row: usize| (values[row] as f64).partial_cmp(&number);
                rows.retain(|row| order(*row).is_some_and(|order| comparison.holds(order)));
            }
            Column::Time(values) => {
                let time = Time::parse(value).map_err(QueryError::Condition)?;
                rows.retain(|row| comparison.holds(values[*row].cmp(&time)));
            }
            Column::Text(values) => rows.retain(|row| comparison.holds((*values[*row]).cmp(value))),
        }
        Ok(())
    }
}
