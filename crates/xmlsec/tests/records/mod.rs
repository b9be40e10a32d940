//! The records that `tests/differential/` writes and reads: a line that ends in a length, that many bytes, a line end.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};

/// The records of a file, or of what is piped in.
pub(crate) struct Records(BufReader<File>);

impl Records {
    /// Of the file that the variable names, or of the committed sample.
    pub(crate) fn of(variable: &str, sample: &str) -> Self {
        let path = std::env::var(variable)
            .unwrap_or_else(|_| format!("{}/tests/oracle/{sample}", env!("CARGO_MANIFEST_DIR")));
        Self(BufReader::new(File::open(path).unwrap()))
    }
}

impl Iterator for Records {
    type Item = (String, Vec<u8>);

    fn next(&mut self) -> Option<Self::Item> {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        if line.is_empty() {
            return None;
        }
        let (head, length_bytes) = line.trim_end().rsplit_once(' ').unwrap();
        let mut bytes = vec![0; length_bytes.parse::<usize>().unwrap() + 1];
        self.0.read_exact(&mut bytes).unwrap();
        assert_eq!(bytes.pop(), Some(b'\n'));
        Some((head.to_owned(), bytes))
    }
}
