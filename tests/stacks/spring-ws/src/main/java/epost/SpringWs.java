package epost;

import be.socialsecurity.registeredmail.types.v1.Citizen;
import be.socialsecurity.registeredmail.types.v1.Enterprise;
import epost.registeredmail.v2.*;
import jakarta.activation.DataHandler;
import jakarta.activation.FileDataSource;
import jakarta.xml.bind.JAXBElement;
import java.io.IOException;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.nio.file.*;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.cert.CertificateFactory;
import java.util.*;
import javax.net.ssl.*;
import javax.xml.transform.dom.DOMResult;
import javax.xml.transform.TransformerFactory;
import org.apache.wss4j.common.crypto.Merlin;
import org.springframework.oxm.jaxb.Jaxb2Marshaller;
import org.springframework.ws.client.core.WebServiceTemplate;
import org.springframework.ws.client.support.interceptor.ClientInterceptor;
import org.springframework.ws.soap.SoapVersion;
import org.springframework.ws.soap.client.SoapFaultClientException;
import org.springframework.ws.soap.saaj.SaajSoapMessageFactory;
import org.springframework.ws.soap.security.wss4j2.Wss4jSecurityInterceptor;
import org.springframework.ws.transport.http.HttpUrlConnectionMessageSender;
import org.w3c.dom.Element;

/**
 * submit FILE TITLE TYPE KIND IDENTIFIER QUALITY [mtom] | proof TICKET RECEIPT|DISPATCH | history TICKET
 *
 * Settings: ENDPOINT (of contract A), P12, PASSWORD, CA (PEM), SOAP (1.1 or 1.2), TOKEN. The proof is left in the current folder.
 */
public final class SpringWs {
    private static final String RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
    private static final String SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256";
    private static final String WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";

    private final ObjectFactory factory = new ObjectFactory();
    private final WebServiceTemplate service;

    public static void main(String[] words) throws Exception {
        try {
            SpringWs client = new SpringWs(words[words.length - 1].equals("mtom"));
            System.out.println(switch (words[0]) {
                case "submit" -> client.submit(words);
                case "proof" -> client.proof(words[1], ProofType.fromValue(words[2]));
                default -> client.history(words[1]);
            });
        } catch (SoapFaultClientException fault) {
            fail(fault);
        }
    }

    private SpringWs(boolean mtom) throws Exception {
        char[] password = System.getenv("PASSWORD").toCharArray();
        KeyStore keys = KeyStore.getInstance("PKCS12"), trusted = KeyStore.getInstance("PKCS12");
        try (InputStream file = Files.newInputStream(Path.of(System.getenv("P12")))) {
            keys.load(file, password);
        }
        trusted.load(null, null);
        try (InputStream file = Files.newInputStream(Path.of(System.getenv("CA")))) {
            for (var certificate : CertificateFactory.getInstance("X.509").generateCertificates(file))
                trusted.setCertificateEntry("ca" + trusted.size(), certificate);
        }
        boolean soap12 = "1.2".equals(System.getenv("SOAP"));
        SaajSoapMessageFactory messages = new SaajSoapMessageFactory();
        messages.setSoapVersion(soap12 ? SoapVersion.SOAP_12 : SoapVersion.SOAP_11);
        messages.afterPropertiesSet();
        Jaxb2Marshaller marshaller = new Jaxb2Marshaller();
        marshaller.setContextPath(ObjectFactory.class.getPackageName());
        marshaller.setMtomEnabled(mtom);
        marshaller.afterPropertiesSet();
        service = new WebServiceTemplate(messages);
        service.setMarshaller(marshaller);
        service.setUnmarshaller(marshaller);
        service.setDefaultUri(System.getenv("ENDPOINT").replaceFirst("v1$", "v2"));
        service.setInterceptors(new ClientInterceptor[] {security(keys, trusted, password, soap12)});
        service.setMessageSender(over(tls(keys, trusted, password)));
    }

    /** What is signed, how, and what an answer must have. */
    private static Wss4jSecurityInterceptor security(KeyStore keys, KeyStore trusted, char[] password, boolean soap12) throws Exception {
        String soap = soap12 ? "http://www.w3.org/2003/05/soap-envelope" : "http://schemas.xmlsoap.org/soap/envelope/";
        Merlin own = new Merlin(), theirs = new Merlin();
        own.setKeyStore(keys);
        theirs.setTrustStore(trusted);
        Wss4jSecurityInterceptor security = new Wss4jSecurityInterceptor();
        security.setSecurementActions("Timestamp Signature");
        security.setSecurementUsername(keys.aliases().nextElement());
        security.setSecurementPassword(new String(password));
        security.setSecurementSignatureCrypto(own);
        security.setSecurementSignatureKeyIdentifier("DirectReference");
        security.setSecurementSignatureAlgorithm(RSA_SHA256);
        security.setSecurementSignatureDigestAlgorithm(SHA256);
        security.setSecurementSignatureParts("{Element}{" + WSU + "}Timestamp;{Element}{" + soap + "}Body");
        security.setValidationActions("Timestamp Signature");
        security.setValidationSignatureCrypto(theirs);
        security.afterPropertiesSet();
        return security;
    }

    private static SSLSocketFactory tls(KeyStore keys, KeyStore trusted, char[] password) throws Exception {
        KeyManagerFactory own = KeyManagerFactory.getInstance("PKIX");
        own.init(keys, password);
        TrustManagerFactory theirs = TrustManagerFactory.getInstance("PKIX");
        theirs.init(trusted);
        SSLContext tls = SSLContext.getInstance("TLS");
        tls.init(own.getKeyManagers(), theirs.getTrustManagers(), null);
        return tls.getSocketFactory();
    }

    private static HttpUrlConnectionMessageSender over(SSLSocketFactory tls) {
        return new HttpUrlConnectionMessageSender() {
            @Override
            protected void prepareConnection(HttpURLConnection connection) throws IOException {
                ((HttpsURLConnection) connection).setSSLSocketFactory(tls);
                super.prepareConnection(connection);
            }
        };
    }

    @SuppressWarnings("unchecked")
    private <Answer> Answer ask(JAXBElement<?> request) {
        return ((JAXBElement<Answer>) service.marshalSendAndReceive(request)).getValue();
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
        SubmitResponse answer = ask(factory.createSubmitRequest(request));
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
        GetProofResponse answer = ask(factory.createGetProofRequest(request));
        if (answer.getProof() == null) throw new IllegalStateException("no such proof; the item is " + answer.getStatus());
        save(answer.getProof());
        return answer.getProof().getFileName();
    }

    /** What happened to the item, in order. */
    private String history(String ticket) throws Exception {
        GetDeliveryHistoryRequest request = new GetDeliveryHistoryRequest();
        request.setTicket(ticket);
        return String.join(" ", this.<GetDeliveryHistoryResponse>ask(factory.createGetDeliveryHistoryRequest(request)).getEvent().stream().map(event -> event.getCode().value()).toList());
    }

    private static void save(Proof proof) throws Exception {
        if (!Arrays.equals(proof.getDigest(), MessageDigest.getInstance("SHA-256").digest(proof.getContent())))
            throw new IllegalStateException("the content is not what the answer says");
        Files.write(Path.of(proof.getFileName()), proof.getContent());
        Files.write(Path.of(proof.getFileName().replace(".xml", ".p7s")), proof.getSignature());
    }

    private static void fail(SoapFaultClientException fault) throws Exception {
        DOMResult detail = new DOMResult();
        TransformerFactory.newInstance().newTransformer().transform(fault.getSoapFault().getFaultDetail().getDetailEntries().next().getSource(), detail);
        Element error = ((org.w3c.dom.Document) detail.getNode()).getDocumentElement();
        String kind = error.getLocalName().replace("Error", "");
        System.err.println("FAULT " + kind + " " + text(error, "Code") + " " + text(error, "Message"));
        System.exit(1);
    }

    private static String text(Element error, String name) {
        return error.getElementsByTagNameNS("*", name).item(0).getTextContent();
    }
}
