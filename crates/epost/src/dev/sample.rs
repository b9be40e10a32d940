//! A real, small PDF for the demo: one page of text in a standard font.
//!
//! Source: ISO 32000-1 §7.5 (file structure).

use std::fmt::Write;

/// A one-page A4 PDF 1.4 with `title` and `lines` (Latin-1 text; other characters become `?`). The same input gives the same bytes.
pub fn pdf(title: &str, lines: &[&str]) -> Vec<u8> {
    let mut page = format!("BT /F1 18 Tf 72 770 Td ({}) Tj /F1 11 Tf 0 -34 Td 16 TL\n", literal(title));
    for line in lines {
        // Writing into a String cannot fail.
        let _ = writeln!(page, "({}) Tj T*", literal(line));
    }
    page.push_str("ET");
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 5 0 R >> >> /Contents 4 0 R >>"
            .to_owned(),
        format!("<< /Length {} >>\nstream\n{page}\nendstream", page.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
    ];
    let mut file = "%PDF-1.4\n".to_owned();
    let mut offsets = Vec::new();
    for (number, object) in (1..).zip(&objects) {
        offsets.push(file.len());
        let _ = write!(file, "{number} 0 obj\n{object}\nendobj\n");
    }
    let table_at = file.len();
    let count = objects.len() + 1;
    let _ = write!(file, "xref\n0 {count}\n0000000000 65535 f \n");
    for offset in offsets {
        let _ = writeln!(file, "{offset:010} 00000 n ");
    }
    let _ = write!(file, "trailer\n<< /Size {count} /Root 1 0 R >>\nstartxref\n{table_at}\n%%EOF\n");
    file.into_bytes()
}

/// The letter that the demo sends.
pub fn letter() -> Vec<u8> {
    pdf(
        "Decision on your file",
        &[
            "This letter was sent as electronic registered mail by ePost, in a test environment.",
            "",
            "Its bytes are bound to the sender's signature by their SHA-256 digest,",
            "and to the moment of sending by a time-stamped, sealed receipt.",
        ],
    )
}

/// Its annex.
pub fn annex() -> Vec<u8> {
    pdf(
        "Annex 1: how to appeal",
        &["You may appeal within three months of the notification of this decision."],
    )
}

/// The content of a PDF literal string, kept to ASCII so that byte offsets equal character offsets.
fn literal(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, character| {
        match character {
            '(' | ')' | '\\' => out.extend(['\\', character]),
            ' '..='~' => out.push(character),
            '\u{a1}'..='\u{ff}' => {
                let _ = write!(out, "\\{:03o}", u32::from(character));
            }
            _ => out.push('?'),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_points_at_the_objects() {
        let file = String::from_utf8(pdf("A (title) \\ é €", &["one", "two"])).unwrap();
        assert!(file.contains("A \\(title\\) \\\\ \\351 ?"));
        let table: usize = file.lines().rev().nth(1).unwrap().parse().unwrap();
        let rows = file[table..].lines().skip(3).take(5);
        for (number, row) in (1..).zip(rows) {
            let offset: usize = row[..10].parse().unwrap();
            assert!(file[offset..].starts_with(&format!("{number} 0 obj")), "{row}");
        }
    }
}
