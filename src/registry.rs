//! Ground: the one macro by which a new model, strategy, indicator or label joins the engine.
//!
//! `registry! { StrategyConfig => dyn Strategy; sma_cross: SmaCross, ... }` makes an externally tagged enum (in YAML
//! `sma_cross: {fast: 20, slow: 100}`), the list of its names, one example of each for the suites that quantify over
//! the registry, and the one place where a choice becomes an object.

/// See the module documentation. Each entry's type must be `Serialize + Deserialize + JsonSchema + Default + Clone`
/// and must itself implement the trait; its `Default` is the example.
#[macro_export]
macro_rules! registry {
    ($(#[$outer:meta])* $config:ident => dyn $behaviour:path; $($(#[$inner:meta])* $name:ident: $variant:ident,)+) => {
        $(#[$outer])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "snake_case", deny_unknown_fields)]
        pub enum $config { $($(#[$inner])* $variant($name::$variant),)+ }

        impl $config {
            /// The names that a configuration may use, in the order of the documentation.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name)),+];

            /// The name under which this choice is written.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$variant(_) => stringify!($name),)+ }
            }

            /// One of each, with default settings: what the conformance suites run over.
            pub fn examples() -> Vec<$config> {
                vec![$(Self::$variant($name::$variant::default())),+]
            }

            /// The choice as an object that works.
            pub fn build(&self) -> &dyn $behaviour {
                match self { $(Self::$variant(settings) => settings,)+ }
            }
        }
    };
}
