//! Which files a configuration names: one list, by which their paths are found from its own folder, and by which a backup knows what to keep.

use std::path::PathBuf;

use super::{Config, KeyPlace, Pkcs11};

/// What lies at a path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Held {
    /// Certificates, lists, policy: a backup has them.
    Public,
    /// A key, under an escrow of its own: in no backup.
    Secret,
    /// What the service writes.
    Written,
    /// A library that is installed, as the system's are: in no backup.
    Installed,
}

/// A path, its option, and what lies there.
pub(crate) type Named<'a> = (&'static str, Held, &'a mut PathBuf);

impl Config {
    /// Every path in it.
    pub(crate) fn files(&mut self) -> Vec<Named<'_>> {
        use Held::{Public, Secret, Written};
        let mut files = Files(Vec::new());
        files.one("listen.certificate", Public, &mut self.listen.certificate);
        files.one("listen.key", Secret, &mut self.listen.key);
        files.all("senders.anchors", &mut self.senders.anchors);
        files.all("senders.intermediates", &mut self.senders.intermediates);
        files.all("senders.certificates", &mut self.senders.certificates);
        files.all("senders.crls", &mut self.senders.crls);
        for responder in &mut self.senders.ocsp {
            files.one("senders.ocsp.issuer", Public, &mut responder.issuer);
        }
        for service in &mut self.saml {
            files.all("saml.certificates", &mut service.certificates);
        }
        files.one("uam.policy", Public, &mut self.uam.policy);
        if let Some(signers) = &mut self.uam.signers {
            files.all("uam.signers.anchors", &mut signers.anchors);
            files.all("uam.signers.intermediates", &mut signers.intermediates);
            files.all("uam.signers.crls", &mut signers.crls);
        }
        if let Some(remote) = &mut self.uam.remote {
            files.all("uam.remote.anchors", &mut remote.anchors);
            files.one("uam.remote.certificate", Public, &mut remote.certificate);
            files.one("uam.remote.key", Secret, &mut remote.key);
        }
        files.one("data.directory", Written, &mut self.data.directory);
        match &mut self.data.master_key {
            KeyPlace::File(path) => files.one("data.master_key", Secret, path),
            KeyPlace::Token(master) => {
                files.one("data.master_key.wrapped", Secret, &mut master.wrapped);
                files.token(
                    ["data.master_key.pkcs11.module", "data.master_key.pkcs11.pin_file"],
                    &mut master.pkcs11,
                );
            }
        }
        if let Some(log_key) = &mut self.data.log_key {
            files.one("data.log_key", Secret, log_key);
        }
        files.one("seal.certificate", Public, &mut self.seal.certificate);
        match &mut self.seal.key {
            KeyPlace::File(path) => files.one("seal.key", Secret, path),
            KeyPlace::Token(seal) => {
                files.token(["seal.key.pkcs11.module", "seal.key.pkcs11.pin_file"], &mut seal.pkcs11)
            }
        }
        for text in self.seal.evidence_policy_texts.values_mut() {
            files.one("seal.evidence_policy_texts", Public, text);
        }
        files.all("seal.anchors", &mut self.seal.anchors);
        files.all("seal.crls", &mut self.seal.crls);
        for witness in &mut self.witness {
            files.all("witness.tls_anchors", &mut witness.tls_anchors);
        }
        for tsa in &mut self.tsa {
            files.all("tsa.anchors", &mut tsa.anchors);
            files.all("tsa.intermediates", &mut tsa.intermediates);
            files.all("tsa.crls", &mut tsa.crls);
        }
        files.one("ebox.certificate", Public, &mut self.ebox.certificate);
        files.one("ebox.key", Secret, &mut self.ebox.key);
        files.all("ebox.tls_anchors", &mut self.ebox.tls_anchors);
        if let Some(folder) = &mut self.report.folder {
            files.one("report.folder", Written, folder);
        }
        if let Some(consult) = &mut self.consult {
            files.all("consult.anchors", &mut consult.anchors);
            files.all("consult.intermediates", &mut consult.intermediates);
            files.all("consult.crls", &mut consult.crls);
        }
        if let Some(batch) = &mut self.batch {
            files.all("batch.anchors", &mut batch.anchors);
            files.all("batch.intermediates", &mut batch.intermediates);
            files.all("batch.crls", &mut batch.crls);
        }
        files.0
    }
}

struct Files<'a>(Vec<Named<'a>>);

impl<'a> Files<'a> {
    fn one(&mut self, option: &'static str, held: Held, path: &'a mut PathBuf) {
        self.0.push((option, held, path));
    }

    fn token(&mut self, [module, pin_file]: [&'static str; 2], place: &'a mut Pkcs11) {
        self.one(module, Held::Installed, &mut place.module);
        self.one(pin_file, Held::Secret, &mut place.pin_file);
    }

    fn all(&mut self, option: &'static str, paths: &'a mut [PathBuf]) {
        self.0.extend(paths.iter_mut().map(|path| (option, Held::Public, path)));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::TEMPLATE;

    const OPTIONAL: &str = r#"
        [[senders.ocsp]]
        issuer = "f"
        url = "http://ocsp.example"
        [[saml]]
        issuer = "sts"
        certificates = ["f"]
        audience = "epost"
        [[witness]]
        key = "k"
        url = "https://witness.example"
        tls_anchors = ["f"]
        [consult]
        address = "127.0.0.1:1"
        anchors = ["f"]
        intermediates = ["f"]
        crls = ["f"]
        person = []
        [batch]
        address = "127.0.0.1:1"
        anchors = ["f"]
        intermediates = ["f"]
        crls = ["f"]
        partner = []
        [uam.signers]
        anchors = ["f"]
        intermediates = ["f"]
        crls = ["f"]
        person = []
        [uam.remote]
        url = "https://pdp.example"
        anchors = ["f"]
        certificate = "f"
        key = "f"
    "#;

    /// The same, with the master key in a token.
    const IN_TOKEN: &str = r#"master_key = { wrapped = "f", pkcs11 = { module = "f", token = "t", label = "l", pin_file = "f" } }"#;

    fn with_token() -> String {
        let text = TEMPLATE.replace("master_key = \"secrets/master.key\"", IN_TOKEN);
        assert!(text != TEMPLATE);
        text
    }

    /// Against forgetting one: the options of the sources that hold a path, and those of the list, are as many of each name.
    #[test]
    fn every_path_of_the_configuration_is_in_the_list() {
        let mut config: Config = toml::from_str(&format!("{TEMPLATE}\n{OPTIONAL}")).unwrap();
        let Config { senders, data, tsa, ebox, report, seal, .. } = &mut config;
        for list in [&mut senders.intermediates, &mut senders.certificates, &mut ebox.tls_anchors] {
            list.push("f".into());
        }
        tsa[0].intermediates.push("f".into());
        (data.log_key, report.folder) = (Some("f".into()), Some("f".into()));
        seal.evidence_policy_texts.insert("urn:x".to_owned(), "f".into());
        let mut in_token: Config = toml::from_str(&with_token()).unwrap();
        let files = config.files().into_iter().chain(in_token.files());
        let listed: BTreeSet<&str> = files.map(|(option, ..)| option).collect();
        let mut listed: Vec<&str> =
            listed.into_iter().map(|option| option.rsplit_once('.').unwrap().1).collect();

        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config");
        let mut sources = vec![std::fs::read_to_string(folder.with_extension("rs")).unwrap()];
        for file in std::fs::read_dir(folder).unwrap() {
            sources.push(std::fs::read_to_string(file.unwrap().path()).unwrap());
        }
        let mut declared: Vec<&str> = sources
            .iter()
            .flat_map(|source| source.lines())
            .filter_map(|line| line.strip_prefix("    pub ")?.split_once(": "))
            .filter(|(_, kind)| kind.contains("PathBuf") || kind.contains("KeyPlace"))
            .map(|(name, _)| name)
            .collect();
        listed.sort_unstable();
        declared.sort_unstable();
        assert_eq!(listed, declared);
    }

    #[test]
    fn every_path_is_found_from_the_configurations_own_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("epost.toml");
        for template in [TEMPLATE.to_owned(), with_token()] {
            std::fs::write(&path, format!("{template}\n{OPTIONAL}")).unwrap();
            let mut config = Config::read(&path).unwrap();
            for (option, _, path) in config.files() {
                assert!(path.starts_with(folder.path()) || path.starts_with("/etc"), "{option}: {path:?}");
            }
        }
    }
}
