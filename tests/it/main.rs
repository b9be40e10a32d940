//! One integration binary: the house from the front door.

mod tidy;
