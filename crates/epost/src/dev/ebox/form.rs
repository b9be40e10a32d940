//! The stand-in's own reader of multipart/form-data: files are hashed as they pass and never held.

use std::collections::BTreeMap;

use openssl::sha::Sha256;

/// One file part, as far as the stand-in remembers it.
#[derive(Clone, Debug, Default)]
pub(super) struct File {
    pub(super) file_name: String,
    pub(super) content_type: String,
    pub(super) bytes: u64,
    pub(super) sha256: [u8; 32],
}

/// What a form held.
#[derive(Default)]
pub(super) struct Form {
    /// The bytes of `messageToPublish`.
    pub(super) message: Option<Vec<u8>>,
    /// Every other part by its name.
    pub(super) files: BTreeMap<String, File>,
}

/// Reads a form chunk by chunk.
pub(super) struct Reader {
    delimiter: Vec<u8>,
    held: Vec<u8>,
    state: State,
    form: Form,
}

enum State {
    Preamble,
    AfterDelimiter,
    Headers,
    Message(Vec<u8>),
    File { name: String, file: File, hasher: Box<Sha256> },
    Done,
}

impl Reader {
    /// From the request's Content-Type.
    pub(super) fn new(content_type: &str) -> Result<Self, String> {
        let (kind, parameters) = content_type.split_once(';').ok_or("no boundary")?;
        if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
            return Err("not multipart/form-data".into());
        }
        let boundary = parameter(parameters, "boundary").filter(|text| (1..=70).contains(&text.len()));
        let delimiter = format!("\r\n--{}", boundary.ok_or("no boundary")?).into_bytes();
        // The first delimiter needs no line break before it: lend it one.
        Ok(Self { delimiter, held: b"\r\n".to_vec(), state: State::Preamble, form: Form::default() })
    }

    /// Takes the next bytes; holds back at most a delimiter or one part's headers.
    pub(super) fn feed(&mut self, chunk: &[u8]) -> Result<(), String> {
        self.held.extend_from_slice(chunk);
        while self.step()? {}
        Ok(())
    }

    /// The form, once the closing delimiter came.
    pub(super) fn finish(self) -> Result<Form, String> {
        match self.state {
            State::Done => Ok(self.form),
            _ => Err("the form ends before its closing boundary".into()),
        }
    }

    fn step(&mut self) -> Result<bool, String> {
        match &mut self.state {
            State::Done => {
                self.held.clear();
                Ok(false)
            }
            State::AfterDelimiter => self.after_delimiter(),
            State::Headers => self.headers(),
            State::Preamble | State::Message(_) | State::File { .. } => self.data(),
        }
    }

    fn after_delimiter(&mut self) -> Result<bool, String> {
        let Some(two) = self.held.first_chunk::<2>() else { return Ok(false) };
        self.state = match two {
            b"--" => State::Done,
            b"\r\n" => State::Headers,
            _ => return Err("bytes after a boundary".into()),
        };
        self.held.drain(..2);
        Ok(true)
    }

    fn headers(&mut self) -> Result<bool, String> {
        let Some(end) = find(&self.held, b"\r\n\r\n") else {
            return if self.held.len() > HEADER_BYTES_MAX {
                Err("part headers too long".into())
            } else {
                Ok(false)
            };
        };
        let head: Vec<u8> = self.held.drain(..end + 4).collect();
        // ISO-8859-1, as the field's rule for names says.
        let head: String = head.into_iter().map(char::from).collect();
        self.state = begin(&head)?;
        let twice = match &self.state {
            State::Message(_) => self.form.message.is_some(),
            State::File { name, .. } => self.form.files.contains_key(name),
            _ => false,
        };
        if twice {
            return Err("two parts of one name".into());
        }
        Ok(true)
    }

    fn data(&mut self) -> Result<bool, String> {
        let end = find(&self.held, &self.delimiter);
        let ready = end.unwrap_or_else(|| self.held.len().saturating_sub(self.delimiter.len() - 1));
        let chunk = self.held.get(..ready).unwrap_or_default();
        match &mut self.state {
            State::Message(message) if message.len() + chunk.len() > MESSAGE_BYTES_MAX => {
                return Err("messageToPublish too long".into());
            }
            State::Message(message) => message.extend_from_slice(chunk),
            State::File { file, hasher, .. } => {
                hasher.update(chunk);
                file.bytes += chunk.len() as u64;
            }
            _ => {}
        }
        self.held.drain(..ready);
        if end.is_none() {
            return Ok(false);
        }
        self.held.drain(..self.delimiter.len());
        match std::mem::replace(&mut self.state, State::AfterDelimiter) {
            State::Message(message) => self.form.message = Some(message),
            State::File { name, mut file, hasher } => {
                file.sha256 = hasher.finish();
                self.form.files.insert(name, file);
            }
            _ => {}
        }
        Ok(true)
    }
}

fn begin(head: &str) -> Result<State, String> {
    let header = |wanted: &str| {
        head.split("\r\n").find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim().to_owned())
        })
    };
    let disposition = header("content-disposition").ok_or("a part without Content-Disposition")?;
    let (kind, parameters) = disposition.split_once(';').ok_or("a part without a name")?;
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return Err("a part that is no form-data".into());
    }
    let name = parameter(parameters, "name").ok_or("a part without a name")?;
    if name == "messageToPublish" {
        return Ok(State::Message(Vec::new()));
    }
    let file = File {
        file_name: parameter(parameters, "filename").ok_or("a file without a filename")?,
        content_type: header("content-type").ok_or("a file without a Content-Type")?,
        ..File::default()
    };
    Ok(State::File { name, file, hasher: Box::new(Sha256::new()) })
}

fn parameter(parameters: &str, wanted: &str) -> Option<String> {
    let mut rest = parameters;
    loop {
        rest = rest.trim_start_matches([';', ' ', '\t']);
        let (name, after) = rest.split_once('=')?;
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(';').unwrap_or((after, "")),
        };
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(value.trim().to_owned());
        }
        rest = after;
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}

const HEADER_BYTES_MAX: usize = 16 * 1024;
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"--b\r\nContent-Disposition: form-data; name=\"messageToPublish\"\r\nContent-Type: application/json\r\n\r\n{}\r\n\
        --b\r\nContent-Disposition: form-data; name=\"upfile1\"; filename=\"a;b.pdf\"\r\nContent-Type: application/pdf\r\n\r\nx\r\n--bogus\r\n\
        \r\n--b--\r\n";

    #[test]
    fn any_cut_into_chunks_reads_the_same() {
        for size in 1..BODY.len() {
            let mut reader = Reader::new("multipart/form-data; boundary=b").unwrap();
            // "--bogus" begins like the boundary: the field's rule is that content never holds it.
            let result = BODY.chunks(size).try_for_each(|chunk| reader.feed(chunk));
            assert_eq!(result, Err("bytes after a boundary".into()), "{size}");

            let mut reader = Reader::new("multipart/form-data; boundary=\"b\"").unwrap();
            let clean = String::from_utf8_lossy(BODY).replace("--bogus", "-bogus");
            clean.as_bytes().chunks(size).try_for_each(|chunk| reader.feed(chunk)).unwrap();
            let form = reader.finish().unwrap();
            assert_eq!(form.message.as_deref(), Some(&b"{}"[..]));
            let file = &form.files["upfile1"];
            assert_eq!((file.file_name.as_str(), file.bytes), ("a;b.pdf", 11));
            assert_eq!(file.sha256, openssl::sha::sha256(b"x\r\n-bogus\r\n"));
        }
    }

    #[test]
    fn a_form_without_its_end_is_refused() {
        let mut reader = Reader::new("multipart/form-data; boundary=b").unwrap();
        reader.feed(&BODY[..60]).unwrap();
        assert!(reader.finish().is_err());
    }
}
