package epost;

import be.socialsecurity.errors.serviceprovider.v1.ServiceErrorType;
import be.socialsecurity.registeredmail.types.v1.Citizen;
import be.socialsecurity.registeredmail.types.v1.Enterprise;
import epost.registeredmail.v2.*;
import jakarta.activation.DataHandler;
import jakarta.activation.FileDataSource;
import jakarta.xml.ws.BindingProvider;
import jakarta.xml.ws.soap.MTOMFeature;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.*;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.cert.CertificateFactory;
import java.util.*;
import javax.net.ssl.*;

/**
 * submit FILE TITLE TYPE KIND IDENTIFIER QUALITY [mtom] | proof TICKET RECEIPT|DISPATCH | history TICKET
 *
 * Settings: ENDPOINT (of contract A), WSDL (a file), P12, PASSWORD, CA (PEM), SOAP (1.1 or 1.2), TOKEN. The current folder must be on the class
 * path: META-INF/wsit-client.xml is written there. The proof is left in it.
 */
public final class Metro {
    /** Which keys, beside what the WSDL's policy says; KEYS and TRUSTED are PKCS#12 files. */
    private static final String WSIT = """
        <?xml version="1.0" encoding="UTF-8"?>
        <definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:tns="urn:epost:registeredmail:v2" targetNamespace="urn:epost:registeredmail:v2"
            xmlns:wsp="http://www.w3.org/ns/ws-policy" xmlns:wspp="http://java.sun.com/xml/ns/wsit/policy" xmlns:sc="http://schemas.sun.com/2006/03/wss/client"
            xmlns:wsu="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd">
          <wsp:Policy wsu:Id="Keys">
            <sc:KeyStore wspp:visibility="private" location="KEYS" type="PKCS12" storepass="PASSWORD" alias="ALIAS"/>
            <sc:TrustStore wspp:visibility="private" location="TRUSTED" type="PKCS12" storepass="PASSWORD" peeralias="ca0"/>
          </wsp:Policy>
          <portType name="RegisteredMailPortType"/>
          <binding name="RegisteredMailSOAP11Binding" type="tns:RegisteredMailPortType"><wsp:PolicyReference URI="#Keys"/></binding>
          <binding name="RegisteredMailSOAP12Binding" type="tns:RegisteredMailPortType"><wsp:PolicyReference URI="#Keys"/></binding>
          <service name="RegisteredMailService">
            <port name="RegisteredMailSOAP11" binding="tns:RegisteredMailSOAP11Binding"/>
            <port name="RegisteredMailSOAP12" binding="tns:RegisteredMailSOAP12Binding"/>
          </service>
        </definitions>
        """;

    private final RegisteredMailPortType port;

    public static void main(String[] words) throws Exception {
        try {
            Metro client = new Metro(words[words.length - 1].equals("mtom"));
            System.out.println(switch (words[0]) {
                case "submit" -> client.submit(words);
                case "proof" -> client.proof(words[1], ProofType.fromValue(words[2]));
                default -> client.history(words[1]);
            });
        } catch (BusinessError fault) {
            fail("Business", fault.getFaultInfo());
        } catch (SystemError fault) {
            fail("System", fault.getFaultInfo());
        }
        System.exit(0);
    }

    private Metro(boolean mtom) throws Exception {
        char[] password = System.getenv("PASSWORD").toCharArray();
        Path store = Path.of(System.getenv("P12")), trust = Path.of("trust.p12");
        KeyStore keys = KeyStore.getInstance("PKCS12"), trusted = KeyStore.getInstance("PKCS12");
        try (InputStream file = Files.newInputStream(store)) {
            keys.load(file, password);
        }
        trusted.load(null, null);
        try (InputStream file = Files.newInputStream(Path.of(System.getenv("CA")))) {
            for (var certificate : CertificateFactory.getInstance("X.509").generateCertificates(file))
                trusted.setCertificateEntry("ca" + trusted.size(), certificate);
        }
        try (OutputStream file = Files.newOutputStream(trust)) {
            trusted.store(file, password);
        }
        Files.createDirectories(Path.of("META-INF"));
        Files.writeString(Path.of("META-INF/wsit-client.xml"), WSIT.replace("KEYS", store.toAbsolutePath().toString()).replace("TRUSTED", trust.toAbsolutePath().toString())
            .replace("PASSWORD", new String(password)).replace("ALIAS", keys.aliases().nextElement()));

        KeyManagerFactory own = KeyManagerFactory.getInstance("PKIX");
        own.init(keys, password);
        TrustManagerFactory theirs = TrustManagerFactory.getInstance("PKIX");
        theirs.init(trusted);
        SSLContext tls = SSLContext.getInstance("TLS");
        tls.init(own.getKeyManagers(), theirs.getTrustManagers(), null);
        RegisteredMailService service = new RegisteredMailService(Path.of(System.getenv("WSDL")).toUri().toURL());
        MTOMFeature form = new MTOMFeature(mtom);
        port = "1.2".equals(System.getenv("SOAP")) ? service.getRegisteredMailSOAP12(form) : service.getRegisteredMailSOAP11(form);
        Map<String, Object> context = ((BindingProvider) port).getRequestContext();
        context.put(BindingProvider.ENDPOINT_ADDRESS_PROPERTY, System.getenv("ENDPOINT").replaceFirst("v1$", "v2"));
        context.put("com.sun.xml.ws.transport.https.client.SSLSocketFactory", tls.getSocketFactory());
    }

    private String submit(String[] words) throws Exception {
        Path file = Path.of(words[1]);
        Document document = new Document();
        document.setTitle(words[2]);
        document.setDigest(MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(file)));
        document.setDownloadFileName(file.getFileName().toString());
        document.setType(words[3]);
        document.setContent(new DataHandler(new FileDataSource(file.toFile())));
        SubmitRequest request = new SubmitRequest();
        String token = System.getenv("TOKEN");
        request.setToken(token == null ? UUID.randomUUID().toString() : token);
        request.setRecipient(recipient(words[4], words[5], words[6]));
        request.setDocument(document);
        SubmitResponse answer = port.submit(request);
        save(answer.getReceipt());
        return answer.getTicket();
    }

    private static Recipient recipient(String kind, String identifier, String quality) {
        Recipient recipient = new Recipient();
        if (kind.equals("Citizen")) {
            Citizen citizen = new Citizen();
            citizen.setINSS(identifier);
            citizen.setQualityCode(quality);
            recipient.setCitizen(citizen);
        } else {
            Enterprise enterprise = new Enterprise();
            enterprise.setCompanyID(identifier);
            enterprise.setQualityCode(quality);
            recipient.setEnterprise(enterprise);
        }
        return recipient;
    }

    private String proof(String ticket, ProofType type) throws Exception {
        GetProofRequest request = new GetProofRequest();
        request.setTicket(ticket);
        request.setProofType(type);
        GetProofResponse answer = port.getProof(request);
        if (answer.getProof() == null) throw new IllegalStateException("no such proof; the item is " + answer.getStatus());
        save(answer.getProof());
        return answer.getProof().getFileName();
    }

    /** What happened to the item, in order. */
    private String history(String ticket) throws Exception {
        GetDeliveryHistoryRequest request = new GetDeliveryHistoryRequest();
        request.setTicket(ticket);
        return String.join(" ", port.getDeliveryHistory(request).getEvent().stream().map(event -> event.getCode().value()).toList());
    }

    private static void save(Proof proof) throws Exception {
        if (!Arrays.equals(proof.getDigest(), MessageDigest.getInstance("SHA-256").digest(proof.getContent())))
            throw new IllegalStateException("the content is not what the answer says");
        Files.write(Path.of(proof.getFileName()), proof.getContent());
        Files.write(Path.of(proof.getFileName().replace(".xml", ".p7s")), proof.getSignature());
    }

    private static void fail(String kind, ServiceErrorType error) {
        System.err.println("FAULT " + kind + " " + error.getCode() + " " + error.getMessage().get(0).getValue());
        System.exit(1);
    }
}
