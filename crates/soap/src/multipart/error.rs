//! Why a body was refused.

use crate::refuse::refusal;
use erds::refusal::{FaultCode, Refusal};

/// A sink could not take a part: its own reason, handed through unchanged.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct SinkError(pub Box<dyn std::error::Error + Send + Sync>);

/// Why a request body is not the form of attachments that the contract takes; the caller's fault but for `Sink`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MultipartError {
    /// The Content-Type header does not parse, or states one parameter twice.
    #[error("Content-Type is malformed: {seen}")]
    ContentTypeMalformed {
        /// The header, shortened.
        seen: String,
    },
    /// Neither XML nor `multipart/related`.
    #[error("Content-Type {seen} is neither text/xml, application/soap+xml nor multipart/related")]
    ContentTypeUnsupported {
        /// The media type.
        seen: String,
    },
    /// A charset other than UTF-8.
    #[error("charset {seen} is not UTF-8")]
    CharsetUnsupported {
        /// The charset named.
        seen: String,
    },
    /// No boundary parameter, or one outside RFC 2046.
    #[error("the boundary parameter is absent or malformed")]
    BoundaryInvalid,
    /// A line that begins with the boundary, and goes on otherwise than RFC 2046 allows.
    #[error("a boundary line carries other text")]
    BoundaryLineMalformed,
    /// The first boundary does not come within the preamble's cap.
    #[error("no boundary within the first {limit_bytes} bytes")]
    PreambleTooLarge {
        /// `preamble_bytes_max`.
        limit_bytes: u64,
    },
    /// More than the cap after the closing boundary.
    #[error("more than {limit_bytes} bytes after the closing boundary")]
    EpilogueTooLarge {
        /// `epilogue_bytes_max`.
        limit_bytes: u64,
    },
    /// The body ended before the closing boundary.
    #[error("the body ended before its closing boundary")]
    Truncated,
    /// More parts than allowed.
    #[error("more than {limit} parts")]
    PartsTooMany {
        /// `parts_max`.
        limit: usize,
    },
    /// A part's header block beyond its cap.
    #[error("the header block of part {part} is larger than {limit_bytes} bytes")]
    PartHeadersTooLarge {
        /// The part's place, from 1.
        part: usize,
        /// `part_header_bytes_max`.
        limit_bytes: usize,
    },
    /// More header lines than allowed.
    #[error("part {part} has more than {limit} header lines")]
    PartHeadersTooMany {
        /// The part's place, from 1.
        part: usize,
        /// `part_headers_max`.
        limit: usize,
    },
    /// A header line outside RFC 822, a repeated one, or a bare CR or LF.
    #[error("the header block of part {part} is malformed")]
    PartHeaderMalformed {
        /// The part's place, from 1.
        part: usize,
    },
    /// A Content-Transfer-Encoding that is not the identity.
    #[error("part {part} has Content-Transfer-Encoding {seen}")]
    TransferEncodingUnsupported {
        /// The part's place, from 1.
        part: usize,
        /// The encoding named.
        seen: String,
    },
    /// Two parts with one Content-ID, letter case aside.
    #[error("Content-ID {content_id} occurs twice")]
    ContentIdRepeated {
        /// The second one, as written.
        content_id: String,
    },
    /// An attachment without Content-ID: nothing could name it.
    #[error("part {part} has no Content-ID")]
    ContentIdMissing {
        /// The part's place, from 1.
        part: usize,
    },
    /// No part is the one that `start` names, or there is no part.
    #[error("no part is the root part")]
    RootMissing,
    /// More than one part could be the root.
    #[error("more than one part could be the root part")]
    RootAmbiguous,
    /// The root part is not XML of SOAP.
    #[error("the root part has type {seen}")]
    RootTypeUnsupported {
        /// The media type.
        seen: String,
    },
    /// The root part beyond its cap.
    #[error("the root part is larger than {limit_bytes} bytes")]
    RootTooLarge {
        /// `root_part_bytes_max`.
        limit_bytes: u64,
    },
    /// A part beyond its cap.
    #[error("part {part} is larger than {limit_bytes} bytes")]
    PartTooLarge {
        /// The part's place, from 1.
        part: usize,
        /// `part_bytes_max`.
        limit_bytes: u64,
    },
    /// The body beyond its cap.
    #[error("the body is larger than {limit_bytes} bytes")]
    BodyTooLarge {
        /// `body_bytes_max`.
        limit_bytes: u64,
    },
    /// The sink refused.
    #[error("a part could not be kept: {0}")]
    Sink(#[from] SinkError),
    /// `feed` or `finish` after an error or after `finish`: ours.
    #[error("the reader has ended")]
    Ended,
}

impl MultipartError {
    /// The stable name of the check that failed.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ContentTypeMalformed { .. } => "multipart.content-type.malformed",
            Self::ContentTypeUnsupported { .. } => "multipart.content-type.unsupported",
            Self::CharsetUnsupported { .. } => "multipart.charset.unsupported",
            Self::BoundaryInvalid => "multipart.boundary.invalid",
            Self::BoundaryLineMalformed => "multipart.boundary.line-malformed",
            Self::PreambleTooLarge { .. } => "multipart.preamble.too-large",
            Self::EpilogueTooLarge { .. } => "multipart.epilogue.too-large",
            Self::Truncated => "multipart.truncated",
            Self::PartsTooMany { .. } => "multipart.parts.too-many",
            Self::PartHeadersTooLarge { .. } => "multipart.headers.too-large",
            Self::PartHeadersTooMany { .. } => "multipart.headers.too-many",
            Self::PartHeaderMalformed { .. } => "multipart.headers.malformed",
            Self::TransferEncodingUnsupported { .. } => "multipart.transfer-encoding.unsupported",
            Self::ContentIdRepeated { .. } => "multipart.content-id.repeated",
            Self::ContentIdMissing { .. } => "multipart.content-id.missing",
            Self::RootMissing => "multipart.root.missing",
            Self::RootAmbiguous => "multipart.root.ambiguous",
            Self::RootTypeUnsupported { .. } => "multipart.root.type-unsupported",
            Self::RootTooLarge { .. } => "multipart.root.too-large",
            Self::PartTooLarge { .. } => "multipart.part.too-large",
            Self::BodyTooLarge { .. } => "multipart.body.too-large",
            Self::Sink(_) => "multipart.sink",
            Self::Ended => "multipart.ended",
        }
    }

    /// What the caller is told: SOA-03004, or SOA-02001 for what is ours (`Sink`, `Ended`).
    pub fn refusal(&self) -> Refusal {
        let (expected, remedy) = match self {
            Self::Sink(_) | Self::Ended => {
                let remedy = "Nothing was accepted; send again later.";
                return refusal(FaultCode::Soa02001, self.code(), "", "", remedy);
            }
            Self::ContentTypeMalformed { .. } | Self::ContentTypeUnsupported { .. } => (
                "multipart/related with a root part of text/xml, or text/xml",
                "Send SOAP with Attachments, as the WSDL has it.",
            ),
            Self::CharsetUnsupported { .. } => ("UTF-8", "Send UTF-8 and say so in the charset parameter."),
            Self::BoundaryInvalid | Self::BoundaryLineMalformed | Self::Truncated => (
                "parts between boundaries of 1 to 70 characters (RFC 2046), closed by the boundary and two dashes",
                "Choose a boundary that no part's content holds, and end the body with the closing one.",
            ),
            Self::PreambleTooLarge { .. } | Self::EpilogueTooLarge { .. } => {
                ("nothing but parts", "Send nothing before the first and after the closing boundary.")
            }
            Self::TransferEncodingUnsupported { .. } => (
                "Content-Transfer-Encoding binary, 8bit or 7bit",
                "Send the attachment's bytes as they are, not encoded.",
            ),
            Self::ContentIdRepeated { .. } | Self::ContentIdMissing { .. } => {
                ("a Content-ID for every attachment, each once", "Give every attachment its own Content-ID.")
            }
            Self::RootMissing | Self::RootAmbiguous | Self::RootTypeUnsupported { .. } => (
                "one root part: the first, or the one that start names; text/xml or application/xop+xml",
                "Send the SOAP envelope as the first part.",
            ),
            Self::PartHeaderMalformed { .. } => {
                ("header lines as RFC 822 has them, none twice", "Correct the part's headers.")
            }
            Self::PartsTooMany { .. }
            | Self::PartHeadersTooLarge { .. }
            | Self::PartHeadersTooMany { .. }
            | Self::RootTooLarge { .. }
            | Self::PartTooLarge { .. }
            | Self::BodyTooLarge { .. } => {
                ("a request within the limits that the manual names", "Send less in one request.")
            }
        };
        refusal(FaultCode::Soa03004, self.code(), &self.to_string(), expected, remedy)
    }
}

/// [`MultipartError::refusal`].
pub fn refusal_of(error: &MultipartError) -> Refusal {
    error.refusal()
}
