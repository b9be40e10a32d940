package epost;

import epost.v2.*;
import epost.v2.errors.ServiceErrorType;
import epost.v2.types.Citizen;
import epost.v2.types.Enterprise;
import jakarta.activation.DataHandler;
import jakarta.activation.FileDataSource;
import jakarta.xml.ws.BindingProvider;
import jakarta.xml.ws.soap.SOAPBinding;
import java.io.InputStream;
import java.nio.file.*;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.*;
import javax.net.ssl.*;
import javax.security.auth.callback.CallbackHandler;
import org.apache.cxf.configuration.jsse.TLSClientParameters;
import org.apache.cxf.endpoint.Client;
import org.apache.cxf.frontend.ClientProxy;
import org.apache.cxf.transport.http.HTTPConduit;
import org.apache.cxf.ws.security.wss4j.WSS4JInInterceptor;
import org.apache.cxf.ws.security.wss4j.WSS4JOutInterceptor;
import org.apache.wss4j.common.crypto.CertificateStore;
import org.apache.wss4j.common.ext.WSPasswordCallback;

/**
 * submit FILE TITLE TYPE KIND IDENTIFIER QUALITY [mtom] | proof TICKET RECEIPT|DISPATCH | history TICKET
 *
 * Settings: ENDPOINT (of contract A), WSDL (a file: its policy is followed; with none, WSS4J is driven by hand), P12, PASSWORD, CA (PEM),
 * SOAP (1.1 or 1.2), TOKEN. The proof is left in the current folder.
 */
public final class ContractB {
    private static final String RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
    private static final String SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256";
    private static final String WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";

    private final Path store = Path.of(System.getenv("P12"));
    private final char[] password = System.getenv("PASSWORD").toCharArray();
    private final KeyStore keys = KeyStore.getInstance("PKCS12");
    private final List<X509Certificate> trusted = new ArrayList<>();
    private final RegisteredMailPortType port;

    public static void main(String[] words) throws Exception {
        try {
            boolean mtom = words[words.length - 1].equals("mtom");
            ContractB client = new ContractB(mtom);
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
    }

    private ContractB(boolean mtom) throws Exception {
        try (InputStream file = Files.newInputStream(store)) {
            keys.load(file, password);
        }
        try (InputStream file = Files.newInputStream(Path.of(System.getenv("CA")))) {
            for (var certificate : CertificateFactory.getInstance("X.509").generateCertificates(file)) trusted.add((X509Certificate) certificate);
        }
        Path wsdl = Path.of(System.getenv("WSDL"));
        RegisteredMailService service = new RegisteredMailService(wsdl.toUri().toURL());
        boolean soap12 = "1.2".equals(System.getenv("SOAP"));
        port = soap12 ? service.getRegisteredMailSOAP12() : service.getRegisteredMailSOAP11();
        BindingProvider provider = (BindingProvider) port;
        provider.getRequestContext().put(BindingProvider.ENDPOINT_ADDRESS_PROPERTY, System.getenv("ENDPOINT").replaceFirst("v1$", "v2"));
        ((SOAPBinding) provider.getBinding()).setMTOMEnabled(mtom);
        Client client = ClientProxy.getClient(port);
        TLSClientParameters tls = new TLSClientParameters();
        tls.setKeyManagers(keyManagers());
        tls.setTrustManagers(trustManagers());
        ((HTTPConduit) client.getConduit()).setTlsClientParameters(tls);
        if (Files.readString(wsdl).contains("<wsp:Policy ")) byPolicy(provider.getRequestContext());
        else byHand(client, soap12);
        Recorder.keep(client);
    }

    /** The WSDL says what is signed; these say how, and by which keys. */
    private void byPolicy(Map<String, Object> context) throws Exception {
        context.put("ws-security.asymmetric.signature.algorithm", RSA_SHA256);
        context.put("ws-security.expand.xop.include", "true");
        context.put("ws-security.signature.properties", merlin());
        context.put("ws-security.signature.username", keys.aliases().nextElement());
        context.put("ws-security.signature.password", new String(password));
        // Answers are verified by this one.
        context.put("ws-security.encryption.crypto", answers());
    }

    /** Without a policy: what is signed, how, and what an answer must have. */
    private void byHand(Client client, boolean soap12) throws Exception {
        String soap = soap12 ? "http://www.w3.org/2003/05/soap-envelope" : "http://schemas.xmlsoap.org/soap/envelope/";
        Map<String, Object> out = new HashMap<>();
        out.put("action", "Timestamp Signature");
        out.put("user", keys.aliases().nextElement());
        out.put("passwordCallbackRef", (CallbackHandler) asked -> ((WSPasswordCallback) asked[0]).setPassword(new String(password)));
        out.put("signaturePropRefId", "keys");
        out.put("keys", merlin());
        out.put("signatureKeyIdentifier", "DirectReference");
        out.put("signatureAlgorithm", RSA_SHA256);
        out.put("signatureDigestAlgorithm", SHA256);
        out.put("signatureParts", "{Element}{" + WSU + "}Timestamp;{Element}{" + soap + "}Body");
        out.put("expandXOPInclude", "true");
        client.getOutInterceptors().add(new WSS4JOutInterceptor(out));
        Map<String, Object> in = new HashMap<>();
        in.put("action", "Timestamp Signature");
        in.put("signatureVerificationPropRefId", "answers");
        in.put("answers", answers());
        client.getInInterceptors().add(new WSS4JInInterceptor(in));
        client.getInFaultInterceptors().add(new WSS4JInInterceptor(in));
    }

    private CertificateStore answers() {
        return new CertificateStore(trusted.toArray(new X509Certificate[0]));
    }

    private Properties merlin() {
        Properties crypto = new Properties();
        crypto.put("org.apache.wss4j.crypto.provider", "org.apache.wss4j.common.crypto.Merlin");
        crypto.put("org.apache.wss4j.crypto.merlin.keystore.type", "PKCS12");
        crypto.put("org.apache.wss4j.crypto.merlin.keystore.file", store.toString());
        crypto.put("org.apache.wss4j.crypto.merlin.keystore.password", new String(password));
        crypto.put("org.apache.wss4j.crypto.merlin.keystore.private.password", new String(password));
        return crypto;
    }

    private KeyManager[] keyManagers() throws Exception {
        KeyManagerFactory factory = KeyManagerFactory.getInstance("PKIX");
        factory.init(keys, password);
        return factory.getKeyManagers();
    }

    private TrustManager[] trustManagers() throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        for (X509Certificate certificate : trusted) store.setCertificateEntry("ca" + store.size(), certificate);
        TrustManagerFactory factory = TrustManagerFactory.getInstance("PKIX");
        factory.init(store);
        return factory.getTrustManagers();
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
