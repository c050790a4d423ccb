//! A run's saved model under live conditions: its test bars, or bars of another file, arrive one by one through a ring
//! buffer, features know nothing after their bar, forecasts are made at once and scored as outcomes arrive.

mod batch;
mod clock;
mod error;
mod feed;
mod forecaster;
mod replay;
mod ring;
mod score;
mod terminal;

pub use clock::{Clock, Latencies, Speed, WallClock};
pub use error::StreamError;
pub use feed::{FeedForecast, FeedLine, FeedSummary, Latency, Opening};
pub use forecaster::{Forecaster, Moment};
pub use replay::{Choice, Replay};
pub use ring::RingBuffer;
pub use score::{Figures, RecurrenceFigures, Recurrences, Scores};
pub use terminal::Lines;
