package epost.judges;

import eu.europa.esig.dss.enumerations.Indication;
import eu.europa.esig.dss.enumerations.SignatureLevel;
import eu.europa.esig.dss.enumerations.SubIndication;
import eu.europa.esig.dss.model.DSSDocument;
import eu.europa.esig.dss.model.FileDocument;
import eu.europa.esig.dss.model.InMemoryDocument;
import eu.europa.esig.dss.model.x509.CertificateToken;
import eu.europa.esig.dss.simplereport.SimpleReport;
import eu.europa.esig.dss.simplereport.jaxb.XmlTimestamp;
import eu.europa.esig.dss.spi.validation.CommonCertificateVerifier;
import eu.europa.esig.dss.spi.x509.CommonTrustedCertificateSource;
import eu.europa.esig.dss.spi.x509.revocation.crl.ExternalResourcesCRLSource;
import eu.europa.esig.dss.validation.SignedDocumentValidator;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.cert.Certificate;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;
import java.util.zip.ZipOutputStream;

/**
 * EU DSS as a judge of ePost's seals, offline.
 *
 * <pre>
 * JudgeDss passed  DIR NAME        exit 0 if NAME.xml + NAME.p7s hold, or NAME.xml alone with its signature inside, or NAME.asice
 * JudgeDss revoked DIR NAME WHO    exit 0 if they do not hold because the seal, or the unit of the stamp, was revoked
 * JudgeDss flips   DIR NAME STEP   every STEP-th byte of each file flipped, of a package in each file in it: prints what DSS still takes
 * </pre>
 *
 * DIR holds {@code seal-anchors.pem}, {@code tsa-anchors.pem} and {@code crls/} beside the proofs. "Hold" is
 * TOTAL_PASSED, CAdES-BASELINE-T (XAdES-BASELINE-T of what has its signature inside, XAdES-BASELINE-LT of a package, which is judged
 * by the lists in its signature alone), exactly one time-stamp, and that PASSED by itself: DSS calls a signature with a
 * broken stamp passed, so the stamp is asked for apart. Of a seal that was revoked before its stamp DSS says
 * INDETERMINATE, REVOKED_NO_POE (EN 319 102-1 5.5.4): only a time-stamp over the content would make it TOTAL_FAILED.
 */
public final class JudgeDss {
    private static final Set<SubIndication> REVOKED = EnumSet.of(SubIndication.REVOKED, SubIndication.REVOKED_NO_POE);
    private final CommonTrustedCertificateSource anchors = new CommonTrustedCertificateSource();
    private final List<DSSDocument> crls = new ArrayList<>();

    private final boolean isPackage;

    private JudgeDss(Path directory, boolean isPackage) throws IOException, CertificateException {
        for (String name : List.of("seal-anchors.pem", "tsa-anchors.pem")) {
            try (InputStream pem = Files.newInputStream(directory.resolve(name))) {
                for (Certificate anchor : CertificateFactory.getInstance("X.509").generateCertificates(pem)) {
                    anchors.addCertificate(new CertificateToken((X509Certificate) anchor));
                }
            }
        }
        this.isPackage = isPackage;
        if (isPackage) {
            return;
        }
        try (Stream<Path> files = Files.list(directory.resolve("crls"))) {
            files.sorted().forEach(file -> crls.add(new FileDocument(file.toFile())));
        }
    }

    public static void main(String[] arguments) throws Exception {
        Path directory = Path.of(arguments[1]);
        String name = arguments[2];
        boolean isPackage = Files.exists(directory.resolve(name + ".asice"));
        JudgeDss judge = new JudgeDss(directory, isPackage);
        byte[] xml = Files.readAllBytes(directory.resolve(name + (isPackage ? ".asice" : ".xml")));
        Path beside = directory.resolve(name + ".p7s");
        byte[] p7s = Files.exists(beside) ? Files.readAllBytes(beside) : null;
        switch (arguments[0]) {
            case "passed" -> System.exit(judge.holds(xml, p7s, true) ? 0 : 1);
            case "revoked" -> System.exit(judge.revoked(xml, p7s, arguments[3]) ? 0 : 1);
            case "flips" -> System.exit(isPackage
                    ? judge.flipsInside(xml, Integer.parseInt(arguments[3]))
                    : judge.flips(xml, p7s, Integer.parseInt(arguments[3])));
            default -> throw new IllegalArgumentException(arguments[0]);
        }
    }

    private SimpleReport report(byte[] xml, byte[] p7s) {
        CommonCertificateVerifier verifier = new CommonCertificateVerifier();
        verifier.setTrustedCertSources(anchors);
        verifier.setCrlSource(new ExternalResourcesCRLSource(crls.toArray(DSSDocument[]::new)));
        verifier.setAIASource(null);
        boolean inside = p7s == null;
        SignedDocumentValidator validator =
                SignedDocumentValidator.fromDocument(new InMemoryDocument(inside ? xml : p7s));
        validator.setCertificateVerifier(verifier);
        if (!inside) {
            validator.setDetachedContents(List.of(new InMemoryDocument(xml)));
        }
        return validator.validateDocument().getSimpleReport();
    }

    private boolean revoked(byte[] xml, byte[] p7s, String who) {
        SimpleReport report = report(xml, p7s);
        List<String> signatures = report.getSignatureIdList();
        if (signatures.size() != 1) {
            return false;
        }
        String id = signatures.get(0);
        boolean ofSeal = who.equals("seal");
        String judged = ofSeal ? id : report.getSignatureTimestamps(id).get(0).getId();
        System.out.println("DSS: " + who + " " + report.getIndication(judged) + " " + report.getSubIndication(judged));
        Indication good = ofSeal ? Indication.TOTAL_PASSED : Indication.PASSED;
        return report.getIndication(judged) != good && REVOKED.contains(report.getSubIndication(judged));
    }

    private boolean holds(byte[] xml, byte[] p7s, boolean aloud) {
        SimpleReport report = report(xml, p7s);
        List<String> signatures = report.getSignatureIdList();
        SignatureLevel level = p7s != null ? SignatureLevel.CAdES_BASELINE_T
                : isPackage ? SignatureLevel.XAdES_BASELINE_LT : SignatureLevel.XAdES_BASELINE_T;
        boolean holds = signatures.size() == 1;
        for (String id : signatures) {
            List<XmlTimestamp> stamps = report.getSignatureTimestamps(id);
            boolean stamped = stamps.size() == 1 && stamps.get(0).getIndication() == Indication.PASSED;
            holds &= report.getIndication(id) == Indication.TOTAL_PASSED
                    && report.getSignatureFormat(id) == level
                    && stamped;
            if (aloud) {
                System.out.println("DSS: " + report.getIndication(id) + " " + report.getSubIndication(id) + " "
                        + report.getSignatureFormat(id));
                report.getAdESValidationErrors(id).forEach(e -> System.out.println("DSS error: " + e.getValue()));
                report.getAdESValidationWarnings(id).forEach(e -> System.out.println("DSS warning: " + e.getValue()));
                stamps.forEach(s -> System.out.println("DSS stamp: " + s.getIndication() + " " + s.getSubIndication()));
            }
        }
        return holds;
    }

    /**
     * Prints the offsets at which a flipped bit is still taken; fails if one lies in the proof itself: of an evidence, in its root
     * before the signature (the XML declaration is covered by nothing).
     */
    private int flips(byte[] xml, byte[] p7s, int step) {
        List<Integer> proof = taken(xml, step, changed -> holds(changed, p7s, false));
        List<Integer> signature = List.of();
        if (p7s == null) {
            String text = new String(xml, StandardCharsets.ISO_8859_1);
            int root = text.indexOf("<erds:Evidence");
            int end = text.indexOf("<ds:Signature ");
            signature = proof.stream().filter(offset -> offset < root || offset >= end).toList();
            proof = proof.stream().filter(offset -> offset >= root && offset < end).toList();
        } else {
            signature = taken(p7s, step, changed -> holds(xml, changed, false));
        }
        System.out.println("DSS flips taken in the proof: " + proof);
        System.out.println("DSS flips taken in the signature: "
                + signature.stream().map(String::valueOf).collect(Collectors.joining(" ")));
        return proof.isEmpty() ? 0 : 1;
    }

    /**
     * The container made again around each file with a flipped bit, so that its checksums fit: prints where DSS still takes one, and
     * fails if that is in a file that is signed.
     */
    private int flipsInside(byte[] container, int step) throws IOException {
        Map<String, byte[]> files = new LinkedHashMap<>();
        try (ZipInputStream zip = new ZipInputStream(new ByteArrayInputStream(container))) {
            for (ZipEntry entry = zip.getNextEntry(); entry != null; entry = zip.getNextEntry()) {
                files.put(entry.getName(), zip.readAllBytes());
            }
        }
        if (!holds(zipped(files), null, true)) {
            System.out.println("DSS does not take the container made again");
            return 1;
        }
        int wrong = 0;
        int refused = 0;
        for (Map.Entry<String, byte[]> file : List.copyOf(files.entrySet())) {
            byte[] original = file.getValue();
            List<Integer> taken = taken(original, step, changed -> {
                Map<String, byte[]> others = new LinkedHashMap<>(files);
                others.put(file.getKey(), changed);
                return holds(zipped(others), null, false);
            });
            boolean signed = !Set.of("mimetype", "META-INF/signatures.xml").contains(file.getKey());
            wrong += signed ? taken.size() : 0;
            refused += (original.length + step - 1) / step - taken.size();
            if (!taken.isEmpty()) {
                System.out.println("DSS flips taken in " + file.getKey() + ": " + taken);
            }
        }
        System.out.println("DSS refused " + refused + " flipped bytes in " + files.size() + " files");
        return wrong == 0 && refused > 0 ? 0 : 1;
    }

    private static byte[] zipped(Map<String, byte[]> files) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (ZipOutputStream zip = new ZipOutputStream(bytes)) {
            for (Map.Entry<String, byte[]> file : files.entrySet()) {
                zip.putNextEntry(new ZipEntry(file.getKey()));
                zip.write(file.getValue());
            }
        } catch (IOException inMemory) {
            throw new UncheckedIOException(inMemory);
        }
        return bytes.toByteArray();
    }

    private interface Judgement {
        boolean holds(byte[] changed);
    }

    private static List<Integer> taken(byte[] original, int step, Judgement judgement) {
        List<Integer> taken = new ArrayList<>();
        for (int offset = 0; offset < original.length; offset += step) {
            byte[] changed = original.clone();
            changed[offset] ^= 1;
            try {
                if (judgement.holds(changed)) {
                    taken.add(offset);
                }
            } catch (RuntimeException unreadable) {
                // Refused loudly is refused.
            }
        }
        return taken;
    }
}
