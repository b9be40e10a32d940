package epost;

import be.fgov.services.monitoring.v1.HealthCheckRequest;
import be.fgov.services.monitoring.v1.HealthCheckType;
import be.socialsecurity.errors.serviceprovider.v1.ServiceErrorType;
import be.socialsecurity.registeredmail.types.v1.*;
import be.socialsecurity.registeredmail.v1.*;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.ConnectException;
import java.net.SocketException;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.security.MessageDigest;
import java.util.*;
import javax.net.ssl.SSLException;
import org.apache.cxf.BusFactory;
import org.apache.cxf.frontend.ClientProxy;

/**
 * What an institution's program does, over classes generated from a RegisteredMail v1 WSDL.
 *
 * Arguments: sandbox.json, the WSDL, the same WSDL with the weak suite, an output folder. Standard input: one command a line
 * (tests/stacks/runs); standard output: one result a line. Every message goes to OUT/raw, every proof to OUT/proofs.
 */
public final class Client {
    private final JsonNode setup;
    private final Path folder;
    private final URL contract;
    private final URL weakContract;
    private final Path out;
    private final Recorder recorder;
    /** The last request that was accepted, its ticket and its receipt. */
    private DocumentRequest lastRequest;
    private String lastTicket;
    private byte[] lastReceipt;
    private int count;

    private Client(String[] arguments) throws Exception {
        Path sandbox = Path.of(arguments[0]).toAbsolutePath();
        folder = sandbox.getParent();
        setup = new ObjectMapper().readTree(sandbox.toFile());
        contract = Path.of(arguments[1]).toUri().toURL();
        weakContract = Path.of(arguments[2]).toUri().toURL();
        out = Path.of(arguments[3]);
        recorder = new Recorder(Files.createDirectories(out.resolve("raw")));
    }

    public static void main(String[] arguments) throws Exception {
        java.util.logging.LogManager.getLogManager().reset();
        Client client = new Client(arguments);
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = lines.readLine()) != null; ) {
            System.out.println(client.answer(line.trim().split(" +")).replace('\n', ' '));
            System.out.flush();
        }
    }

    /** SENDER VERB ARGUMENT CHANGE… */
    private String answer(String[] words) {
        try {
            count++;
            Set<String> changes = Set.of(Arrays.copyOfRange(words, Math.min(3, words.length), words.length));
            RegisteredMailPortType port = port(words[0], changes);
            return switch (words[1]) {
                case "send" -> send(port, words[2], changes);
                case "resend" -> resend(port);
                case "status" -> status(port, words[2].equals("last") ? lastTicket : words[2]);
                case "health" -> health(port, words[2]);
                default -> "ERROR no such verb: " + words[1];
            };
        } catch (SystemError fault) {
            return fault("SYSTEM", fault.getFaultInfo());
        } catch (BusinessError fault) {
            return fault("BUSINESS", fault.getFaultInfo());
        } catch (Exception error) {
            for (Throwable cause = error; cause != null; cause = cause.getCause())
                if (cause instanceof SSLException || (cause instanceof SocketException && !(cause instanceof ConnectException))) return "TLS " + cause.getMessage();
            StringBuilder chain = new StringBuilder("ERROR");
            for (Throwable cause = error; cause != null; cause = cause.getCause()) chain.append(" <- ").append(cause);
            return chain.toString();
        }
    }

    private RegisteredMailPortType port(String name, Set<String> changes) throws Exception {
        JsonNode party = setup.get("senders").has(name) ? setup.get("senders").get(name) : setup.get("strangers").get(name);
        // A bus for each: CXF writes the signature algorithm into the policy, which a bus shares among its ports.
        BusFactory.setThreadDefaultBus(BusFactory.newInstance().createBus());
        // The conduit over java.net.http (CXF 4.1) hangs when TLS is refused while it still writes the request.
        if (setup.get("strangers").has(name))
            BusFactory.getThreadDefaultBus().setProperty("force.urlconnection.http.conduit", true);
        URL wsdl = changes.contains("weak-suite") ? weakContract : contract;
        RegisteredMailPortType port = new RegisteredMailService(wsdl).getRegisteredMailSOAP11();
        Access.secure(port, setup, party, folder, changes);
        recorder.listen(ClientProxy.getClient(port));
        return port;
    }

    private String send(RegisteredMailPortType port, String recipient, Set<String> changes) throws Exception {
        DocumentRequest request = Item.request(setup, recipient, changes);
        if (changes.contains("last-token"))
            request.getRegisteredMailItem().setToken(lastRequest.getRegisteredMailItem().getToken());
        Receipt receipt = port.sendDocument(request).getReceipt();
        if (!receipt.getToken().equals(request.getRegisteredMailItem().getToken())) return "ERROR another Token in the receipt";
        lastRequest = request;
        lastTicket = receipt.getTicket();
        lastReceipt = save(receipt.getDocument());
        for (int attempt = 0; attempt < 150; attempt++) {
            String status = status(port, lastTicket);
            if (!status.startsWith("PENDING")) return status;
            Thread.sleep(100);
        }
        return "PENDING " + lastTicket;
    }

    /** The last request once more: signed anew, same Token and content. */
    private String resend(RegisteredMailPortType port) throws Exception {
        Receipt receipt = port.sendDocument(lastRequest).getReceipt();
        boolean same = receipt.getTicket().equals(lastTicket) && Arrays.equals(save(receipt.getDocument()), lastReceipt);
        return (same ? "SAME " : "DIFFERENT ") + receipt.getTicket();
    }

    private String status(RegisteredMailPortType port, String ticket) throws Exception {
        StatusRequest question = new StatusRequest();
        question.setTicket(ticket);
        StatusResponse status = port.getStatus(question);
        if (status.getProofOfDispatch() != null) save(status.getProofOfDispatch());
        boolean consistent = (status.getStatus() == Status.SENT) == (status.getProofOfDispatch() != null);
        return consistent ? status.getStatus() + " " + status.getTicket() : "ERROR SENT and the proof of it do not go together";
    }

    private String health(RegisteredMailPortType port, String type) throws Exception {
        HealthCheckRequest question = new HealthCheckRequest();
        question.setType(HealthCheckType.fromValue(type));
        var answer = port.healthCheck(question);
        return "HEALTH " + answer.getStatus().getLevel() + " checks " + answer.getSanityCheck().size();
    }

    private static String fault(String kind, ServiceErrorType fault) {
        return "FAULT " + kind + " " + fault.getCode() + " " + fault.getMessage().get(0).getValue();
    }

    /** Saves an attached proof and its detached seal, and checks the digest that the answer states. */
    private byte[] save(SignedFile file) throws Exception {
        byte[] bytes = file.getContent().getInputStream().readAllBytes();
        if (!Arrays.equals(file.getDigest().getDigestValue(), MessageDigest.getInstance("SHA-256").digest(bytes)))
            throw new IllegalStateException("the answer's digest is not that of its attachment");
        Path proofs = Files.createDirectories(out.resolve("proofs").resolve(String.valueOf(count)));
        Path xml = proofs.resolve(file.getDownloadFileName());
        Files.write(xml, bytes);
        Files.write(proofs.resolve(file.getDownloadFileName().replace(".xml", ".p7s")), file.getSignature());
        return bytes;
    }
}
