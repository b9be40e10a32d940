//! The front-door, crash and tidy tests live in `it/`.
