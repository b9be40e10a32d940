//! `epost demo`: the whole product at work on this machine, told step by step.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use erds::{
    DigestMethod, EboxCheck, Language, Part, QualityCode, Recipient, Ssin, StatedDigest, Strictness,
    Submission, Ticket, Token,
};
use evidence::verify::{GivenFile, Inputs, Report, verify};
use jiff::Timestamp;
use pki::path::TrustAnchors;

use super::could_not_run;
use super::serve::wait_for_signal;
use crate::client::{Client, ContentFile, ItemName, Progress, ProofFiles, ProofKind, Settings, save};
use crate::dev::pki::Extent;
use crate::dev::sample;
use crate::dev::sandbox::CITIZEN;
use crate::dev::start::{self, Sandbox};
use crate::trust;

/// How the demo runs.
#[derive(clap::Args)]
pub struct Args {
    /// End after the story instead of serving on.
    #[arg(long)]
    once: bool,
    /// Keep everything in this folder instead of a temporary one.
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Tells the story; 0 only if every step of it came out as told.
pub async fn run(args: Args) -> ExitCode {
    super::start_log("error");
    let begun = Instant::now();
    let directory = args.dir.clone().unwrap_or_else(|| {
        std::env::temp_dir().join(format!("epost-demo-{}", uuid::Uuid::new_v4().simple()))
    });
    let sandbox = match start::start(&directory, start::LOOPBACK, Extent::Senders).await {
        Ok(sandbox) => sandbox,
        Err(error) => return could_not_run(&error),
    };
    let told = story(&sandbox).await;
    let code = match told {
        Ok(()) => {
            println!("\nall of it in {:.1} s", begun.elapsed().as_secs_f64());
            ExitCode::SUCCESS
        }
        Err(error) => could_not_run(&error),
    };
    if !args.once && code == ExitCode::SUCCESS {
        println!("\nStill serving. Send a file of your own (in another terminal):");
        println!(
            "  epost send FILE --profile {} --to-citizen {CITIZEN} --title \"My letter\" --type LETTER --wait",
            sandbox.layout.profile("alice").display(),
        );
        println!("Ctrl-C ends it and removes {}", directory.display());
        wait_for_signal().await;
    }
    sandbox.stop().await;
    if args.dir.is_none() {
        let _ = std::fs::remove_dir_all(&directory);
    }
    code
}

async fn story(sandbox: &Sandbox) -> Result<(), String> {
    let layout = &sandbox.layout;
    println!("ePost: electronic registered mail, the demo\n");
    println!(
        "1  A test PKI, the service, a time-stamping authority and an e-Box stand-in are up, on loopback:"
    );
    println!("     {}", layout.endpoint());

    let letter = layout.directory.join("letter.pdf");
    let annex = layout.directory.join("annex.pdf");
    std::fs::write(&letter, sample::letter())
        .and_then(|()| std::fs::write(&annex, sample::annex()))
        .map_err(|e| e.to_string())?;
    let profile = layout.profile("alice");
    let settings = Settings::read(&profile).map_err(|error| error.to_string())?;
    let client = Client::new(&settings, "en", Progress::new(true), Timestamp::now)
        .map_err(|error| error.to_string())?;
    let files = [&letter, &annex]
        .map(|path| ContentFile::digest(path, &Progress::new(true)).map_err(|error| error.to_string()));
    let [document, attachment] = files;
    let files = [document?, attachment?];
    let submission = submission(&files)?;
    let begun = Instant::now();
    let receipt = client.send(&submission, &files).await.map_err(|error| error.to_string())?;
    println!(
        "\n2  Institution alice sends letter.pdf ({} bytes) and annex.pdf ({} bytes) to a citizen:",
        files[0].bytes, files[1].bytes
    );
    println!(
        "     a SOAP request, signed (WS-Security X.509), over mutual TLS; answered in {} ms",
        begun.elapsed().as_millis()
    );
    println!("     ticket {}   token {}", receipt.ticket, submission.token.as_str());
    let out = &layout.directory.join("proofs");
    let saved = save(&receipt, ProofKind::Receipt, out).map_err(|error| error.to_string())?;
    println!("     proof of sending: {}", shown(&saved));

    let ticket = Ticket::parse(&receipt.ticket).map_err(|error| error.to_string())?;
    let dispatch = poll(&client, &ticket).await?;
    let saved = save(&dispatch, ProofKind::Dispatch, out).map_err(|error| error.to_string())?;
    println!("     proof of dispatch: {}", shown(&saved));

    println!("\n4  An auditor verifies both, offline, trusting only the roots:");
    let auditor = Auditor::new(layout, &client, ticket, &[&letter, &annex]).await?;
    for (name, proof) in [("Receipt.xml", &receipt), ("ProofOfDispatch.xml", &dispatch)] {
        let report = auditor.judge(&proof.xml, &proof.p7s);
        println!("     {name}: {}", report.indication.as_str());
        if !report.passed() {
            return Err(format!("{name} did not pass:\n{}", report.render()));
        }
        if let Some(facts) = &report.facts {
            println!("       {}", facts.statement);
            println!(
                "       at {}, sealed by {}",
                facts.time.as_deref().unwrap_or("no trusted time"),
                facts.sealed_by
            );
            println!("       environment {}: NOT PRODUCTION", facts.environment);
        }
    }
    flip(&auditor, &receipt)?;

    let again = client.send(&submission, &files).await.map_err(|error| error.to_string())?;
    if again.xml != receipt.xml || again.p7s != receipt.p7s {
        return Err("the same item sent again got another receipt".into());
    }
    println!("\n6  The same item sent again: the same receipt, byte for byte; nothing is sent twice.");
    Ok(())
}

async fn poll(client: &Client, ticket: &Ticket) -> Result<ProofFiles, String> {
    let begun = Instant::now();
    let mut asked = 0;
    loop {
        asked += 1;
        let answer = client.status(ticket).await.map_err(|error| error.to_string())?;
        match (answer.status.as_str(), answer.proof) {
            ("SENT", Some(proof)) => {
                println!(
                    "\n3  getStatus, asked {asked} times: SENT after {} ms: placed in the eBox",
                    begun.elapsed().as_millis()
                );
                return Ok(proof);
            }
            ("PENDING", _) if begun.elapsed() < Duration::from_secs(30) => {
                tokio::time::sleep(Duration::from_millis(20)).await
            }
            (status, _) => return Err(format!("status {status} instead of SENT")),
        }
    }
}

/// What one flipped byte does: anywhere, in either file.
fn flip(auditor: &Auditor, receipt: &ProofFiles) -> Result<(), String> {
    println!("\n5  One flipped bit:");
    let middle = receipt.xml.len() / 2;
    let mut xml = receipt.xml.clone();
    xml[middle] ^= 1;
    let mut p7s = receipt.p7s.clone();
    let place = p7s.len() / 2;
    p7s[place] ^= 1;
    for (name, at, report) in [
        ("Receipt.xml", middle, auditor.judge(&xml, &receipt.p7s)),
        ("Receipt.p7s", place, auditor.judge(&receipt.xml, &p7s)),
    ] {
        if report.passed() {
            return Err(format!("a flipped bit in {name} at byte {at} passed"));
        }
        println!("     in {name}, byte {at}: {}", report.indication.as_str());
    }
    Ok(())
}

/// Holds what an auditor holds: roots, revocation lists, the documents.
struct Auditor {
    seal_anchors: TrustAnchors,
    tsa_anchors: TrustAnchors,
    crls: Vec<pki::crl::Crl>,
    documents: Vec<GivenFile>,
}

impl Auditor {
    async fn new(
        layout: &crate::dev::sandbox::SandboxLayout,
        client: &Client,
        ticket: Ticket,
        documents: &[&Path],
    ) -> Result<Self, String> {
        let anchors = |name: &str| {
            trust::read_certificates(&[layout.pki.certificate(name)])
                .map(|found| TrustAnchors::new(found, Vec::new()))
                .map_err(|error| error.to_string())
        };
        // The lists that the service kept with the proof, as getProof hands them out.
        let proof = client
            .proof(&ItemName::Ticket(ticket), ProofKind::Receipt)
            .await
            .map_err(|error| error.to_string())?;
        let crls = proof.crls.iter().map(|der| pki::crl::Crl::from_der(der)).collect::<Result<_, _>>();
        let given = |path: &&Path| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            std::fs::File::open(path)
                .and_then(|file| GivenFile::read(name, file))
                .map_err(|error| error.to_string())
        };
        Ok(Self {
            seal_anchors: anchors("seal-root")?,
            tsa_anchors: anchors("tsa-root")?,
            crls: crls.map_err(|error| error.to_string())?,
            documents: documents.iter().map(given).collect::<Result<_, _>>()?,
        })
    }

    fn judge(&self, xml: &[u8], p7s: &[u8]) -> Report {
        verify(&Inputs {
            xml,
            p7s,
            documents: &self.documents,
            crls: &self.crls,
            seal_anchors: &self.seal_anchors,
            tsa_anchors: &self.tsa_anchors,
            log_key: None,
            now: Timestamp::now(),
        })
    }
}

fn submission(files: &[ContentFile; 2]) -> Result<Submission, String> {
    let today = crate::service::today(Timestamp::now());
    let part = |file: &ContentFile, title: &str, document_type: Option<&str>, content_id: &str| Part {
        title: title.to_owned(),
        digest: StatedDigest { method: DigestMethod::Sha256, value: file.sha256.clone() },
        download_file_name: file.name(),
        mime: Some("application/pdf".to_owned()),
        document_type: document_type.map(str::to_owned),
        language: document_type.map(|_| Language::En),
        content_id: content_id.to_owned(),
    };
    Ok(Submission {
        token: Token::parse(&uuid::Uuid::new_v4().simple().to_string()).map_err(|error| error.to_string())?,
        recipient: Recipient::Citizen {
            inss: Ssin::parse(CITIZEN, Strictness::Strict, today).map_err(|error| error.to_string())?,
            quality: QualityCode::parse("CITIZEN").map_err(|error| error.to_string())?,
        },
        document: part(&files[0], "Your file at the institution", Some("LETTER"), "document@epost"),
        annexes: vec![part(&files[1], "Annex", None, "annex-1@epost")],
        meta: Vec::new(),
        check: EboxCheck::Activated,
        beside: Default::default(),
    })
}

fn shown(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
