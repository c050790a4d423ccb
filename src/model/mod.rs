//! Models: one trait, one file each. See `registry.rs` for how one joins.
