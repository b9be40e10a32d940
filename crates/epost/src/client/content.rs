//! Files to send: read once for their digest, once for sending, never held whole.

use std::io::Read;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::Stream;
use indicatif::{ProgressBar, ProgressStyle};
use pki::digest::{DigestAlgorithm, Hasher};
use soap::multipart::{Layout, Piece};
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;

/// A file, as it was when its digest was made.
#[derive(Clone, Debug)]
pub struct ContentFile {
    /// Where it lies.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: Vec<u8>,
}

impl ContentFile {
    /// Reads the file through once.
    ///
    /// # Errors
    /// What the system says of the file: the user's to mend.
    pub fn digest(path: &Path, progress: &Progress) -> std::io::Result<Self> {
        let mut file = std::fs::File::open(path)?;
        let bar = progress.bar("digest", path, file.metadata()?.len());
        let mut hasher = Hasher::new(DigestAlgorithm::Sha256);
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut bytes = 0;
        loop {
            let count = file.read(&mut buffer)?;
            let Some(read) = buffer.get(..count).filter(|read| !read.is_empty()) else { break };
            hasher.update(read);
            bytes += count as u64;
            bar.set_position(bytes);
        }
        bar.finish_and_clear();
        Ok(Self { path: path.to_owned(), bytes, sha256: hasher.finish().as_bytes().to_vec() })
    }

    /// The file's name, for the recipient; at most 80 characters, its extension kept.
    pub fn name(&self) -> String {
        let name = self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let excess = name.chars().count().saturating_sub(erds::dispatch::FILE_NAME_CHARACTERS_MAX);
        name.chars().skip(excess).collect()
    }

    /// The contract's MIME type for the file's extension, where it has one.
    pub fn mime(&self) -> Option<&'static str> {
        let extension = self.path.extension()?.to_str()?.to_ascii_lowercase();
        MIME_OF_EXTENSION.iter().find(|(known, _)| *known == extension).map(|(_, mime)| *mime)
    }
}

const MIME_OF_EXTENSION: [(&str, &str); 16] = [
    ("pdf", "application/pdf"),
    ("zip", "application/zip"),
    ("csv", "text/csv"),
    ("html", "text/html"),
    ("htm", "text/html"),
    ("txt", "text/plain"),
    ("xml", "text/xml"),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("ods", "application/vnd.oasis.opendocument.spreadsheet"),
    ("odp", "application/vnd.oasis.opendocument.presentation"),
    ("odg", "application/vnd.oasis.opendocument.graphics"),
    ("xls", "application/vnd.ms-excel"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("ppt", "application/vnd.ms-powerpoint"),
    ("doc", "application/msword"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
];

/// Whether progress is shown: on a terminal, and only for work that takes a while.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    shown: bool,
}

impl Progress {
    /// Shown on a terminal, never with `--json`.
    pub fn new(json: bool) -> Self {
        use std::io::IsTerminal;
        Self { shown: !json && std::io::stderr().is_terminal() }
    }

    fn bar(self, doing: &'static str, path: &Path, bytes: u64) -> ProgressBar {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        self.bar_named(doing, name, bytes)
    }

    fn bar_named(self, doing: &'static str, name: String, bytes: u64) -> ProgressBar {
        if !self.shown || bytes < SHOWN_FROM_BYTES {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template(
            "{prefix:>8} {bar:32} {bytes}/{total_bytes} {bytes_per_sec} {eta} {msg}",
        )
        .unwrap_or_else(|_| ProgressStyle::default_bar());
        ProgressBar::new(bytes).with_style(style).with_prefix(doing).with_message(name)
    }
}

/// The body's bytes in order, a chunk of a file at a time.
///
/// A file that became shorter or longer since its digest ends the stream with an error: the sending breaks off.
pub(super) fn stream(
    layout: Layout,
    files: Vec<ContentFile>,
    progress: Progress,
) -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    let (chunks, body) = mpsc::channel(4);
    tokio::spawn(async move {
        let bar = progress.bar_named("send", String::new(), layout.total_bytes);
        if let Err(error) = feed(layout.pieces, &files, &chunks, &bar).await {
            // The receiver is gone when the connection is: then there is nobody to tell.
            let _ = chunks.send(Err(error)).await;
        }
        bar.finish_and_clear();
    });
    futures_util::stream::unfold(body, |mut body| async move { body.recv().await.map(|chunk| (chunk, body)) })
}

type Chunks = mpsc::Sender<std::io::Result<Bytes>>;

async fn feed(
    pieces: Vec<Piece>,
    files: &[ContentFile],
    chunks: &Chunks,
    bar: &ProgressBar,
) -> std::io::Result<()> {
    for piece in pieces {
        match piece {
            Piece::Bytes(bytes) => {
                bar.inc(bytes.len() as u64);
                if chunks.send(Ok(bytes.into())).await.is_err() {
                    return Ok(());
                }
            }
            Piece::Part(index) => {
                if let Some(file) = files.get(index) {
                    feed_file(file, chunks, bar).await?;
                }
            }
        }
    }
    Ok(())
}

async fn feed_file(content: &ContentFile, chunks: &Chunks, bar: &ProgressBar) -> std::io::Result<()> {
    let changed = || std::io::Error::other(format!("{} changed while it was sent", content.path.display()));
    let mut file = tokio::fs::File::open(&content.path).await?;
    let mut left = content.bytes;
    loop {
        let mut buffer = bytes::BytesMut::with_capacity(CHUNK_BYTES);
        let count = file.read_buf(&mut buffer).await? as u64;
        left = left.checked_sub(count).ok_or_else(changed)?;
        if count == 0 {
            return if left == 0 { Ok(()) } else { Err(changed()) };
        }
        bar.inc(count);
        if chunks.send(Ok(buffer.freeze())).await.is_err() {
            return Ok(());
        }
    }
}

const CHUNK_BYTES: usize = 256 * 1024;
const SHOWN_FROM_BYTES: u64 = 8 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt;

    fn layout(bytes: u64) -> Layout {
        let pieces = vec![Piece::Bytes(b"<".to_vec()), Piece::Part(0), Piece::Bytes(b">".to_vec())];
        Layout { content_type: String::new(), pieces, total_bytes: bytes + 2 }
    }

    #[tokio::test]
    async fn a_file_is_streamed_between_the_pieces() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("letter.PDF");
        let content: Vec<u8> = (0..700_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        std::fs::write(&path, &content).unwrap();
        let file = ContentFile::digest(&path, &Progress { shown: false }).unwrap();
        assert_eq!((file.bytes, file.mime()), (700_000, Some("application/pdf")));
        let chunks: Vec<_> =
            stream(layout(file.bytes), vec![file], Progress { shown: false }).collect().await;
        let sent: Vec<u8> = chunks.into_iter().flat_map(|chunk| chunk.unwrap()).collect();
        assert_eq!(sent, [b"<", content.as_slice(), b">"].concat());
    }

    #[tokio::test]
    async fn a_file_that_changed_breaks_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        std::fs::write(&path, "long enough").unwrap();
        let file = ContentFile::digest(&path, &Progress { shown: false }).unwrap();
        std::fs::write(&path, "short").unwrap();
        let chunks: Vec<_> = stream(layout(11), vec![file], Progress { shown: false }).collect().await;
        assert!(chunks.last().unwrap().is_err());
    }
}
