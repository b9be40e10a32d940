package epost;

import be.socialsecurity.registeredmail.types.v1.*;
import com.fasterxml.jackson.databind.JsonNode;
import jakarta.activation.DataHandler;
import jakarta.activation.DataSource;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.Set;
import java.util.UUID;

/** A document and an annex for one recipient of the sandbox, and what may be wrong with them. */
final class Item {
    private Item() {}

    static DocumentRequest request(JsonNode setup, String recipient, Set<String> changes) throws Exception {
        String text = changes.contains("last-token") ? "another letter" : "letter of the CXF client";
        byte[] letter = ("%PDF-1.4\n%" + text + "\n%%EOF\n").getBytes(StandardCharsets.UTF_8);
        byte[] annex = "annex of the letter\r\n\r\n--\r\n".getBytes(StandardCharsets.UTF_8);

        File document = new File();
        document.setTitle("Lettre \u00e0 l'assur\u00e9 <& Co>");
        document.setDigest(digest(letter, changes.contains("sha1-digest") ? DigestMethod.SHA_1 : DigestMethod.SHA_256));
        document.setDownloadFileName("letter.pdf");
        document.setMIME(MIME.APPLICATION_PDF);
        document.setType("LETTER");
        document.setLanguage(Language.FR);
        if (changes.contains("flip")) letter[letter.length - 1] ^= 1;
        document.setContent(data(letter, "application/pdf"));

        AnnexFile second = new AnnexFile();
        second.setTitle("Annex");
        second.setDigest(digest(annex, DigestMethod.SHA_512));
        second.setDownloadFileName("annex.txt");
        second.setMIME(MIME.TEXT_PLAIN);
        second.setContent(data(annex, "text/plain"));

        RegisteredMailItem item = new RegisteredMailItem();
        item.setToken(UUID.randomUUID().toString());
        item.setRecipient(entity(setup, recipient, changes));
        item.setDocument(document);
        item.getAnnex().add(second);
        DocumentRequest request = new DocumentRequest();
        request.setRegisteredMailItem(item);
        request.setCheckEboxStatus(CheckEboxStatus.ACTIVATED);
        return request;
    }

    private static Entity entity(JsonNode setup, String name, Set<String> changes) {
        String identifier = setup.get("recipients").get(name).asText();
        String quality = setup.get("quality_codes").get(name).asText();
        if (changes.contains("bad-identifier")) {
            char last = identifier.charAt(identifier.length() - 1);
            identifier = identifier.substring(0, identifier.length() - 1) + (last == '9' ? '8' : (char) (last + 1));
        }
        if (name.startsWith("citizen")) {
            Citizen citizen = new Citizen();
            citizen.setINSS(identifier);
            citizen.setQualityCode(quality);
            return citizen;
        }
        Enterprise enterprise = new Enterprise();
        enterprise.setCompanyID(identifier);
        enterprise.setQualityCode(quality);
        return enterprise;
    }

    private static Digest digest(byte[] bytes, DigestMethod method) throws Exception {
        Digest digest = new Digest();
        digest.setDigestMethod(method);
        digest.setDigestValue(MessageDigest.getInstance(method.value()).digest(bytes));
        return digest;
    }

    private static DataHandler data(byte[] bytes, String type) {
        return new DataHandler(new DataSource() {
            public java.io.InputStream getInputStream() { return new java.io.ByteArrayInputStream(bytes); }
            public java.io.OutputStream getOutputStream() { throw new UnsupportedOperationException(); }
            public String getContentType() { return type; }
            public String getName() { return "content"; }
        });
    }
}
