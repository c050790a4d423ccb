//! The story (stub).
