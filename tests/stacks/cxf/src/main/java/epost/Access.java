package epost;

import be.socialsecurity.registeredmail.v1.RegisteredMailPortType;
import com.fasterxml.jackson.databind.JsonNode;
import jakarta.xml.ws.BindingProvider;
import java.io.InputStream;
import java.nio.file.*;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.*;
import javax.net.ssl.*;
import org.apache.cxf.configuration.jsse.TLSClientParameters;
import org.apache.cxf.frontend.ClientProxy;
import org.apache.cxf.transport.http.HTTPConduit;

/** A port's address, keys and trust: all that a client sets beside what was generated. */
final class Access {
    private Access() {}

    static void secure(RegisteredMailPortType port, JsonNode setup, JsonNode party, Path folder, Set<String> changes) throws Exception {
        String password = setup.get("password").asText();
        String store = folder.resolve(party.get("p12").asText()).toString();
        KeyStore keys = KeyStore.getInstance("PKCS12");
        try (InputStream file = Files.newInputStream(Path.of(store))) {
            keys.load(file, password.toCharArray());
        }

        Properties crypto = new Properties();
        crypto.put("org.apache.wss4j.crypto.provider", "org.apache.wss4j.common.crypto.Merlin");
        crypto.put("org.apache.wss4j.crypto.merlin.keystore.type", "PKCS12");
        crypto.put("org.apache.wss4j.crypto.merlin.keystore.file", store);
        crypto.put("org.apache.wss4j.crypto.merlin.keystore.password", password);
        crypto.put("org.apache.wss4j.crypto.merlin.keystore.private.password", password);
        Map<String, Object> context = ((BindingProvider) port).getRequestContext();
        context.put(BindingProvider.ENDPOINT_ADDRESS_PROPERTY, setup.get("endpoint").asText());
        context.put("ws-security.signature.properties", crypto);
        context.put("ws-security.signature.username", keys.aliases().nextElement());
        context.put("ws-security.signature.password", password);
        // The two settings that the WSDL's comment names: everything else is as generated.
        if (!changes.contains("sha1"))
            context.put("ws-security.asymmetric.signature.algorithm", "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256");
        if (!changes.contains("no-expand")) context.put("ws-security.expand.xop.include", "true");

        TLSClientParameters tls = new TLSClientParameters();
        tls.setKeyManagers(keyManagers(keys, password));
        tls.setTrustManagers(trustManagers(folder.resolve(setup.get("tls_ca").asText())));
        ((HTTPConduit) ClientProxy.getClient(port).getConduit()).setTlsClientParameters(tls);
    }

    private static KeyManager[] keyManagers(KeyStore keys, String password) throws Exception {
        KeyManagerFactory factory = KeyManagerFactory.getInstance("PKIX");
        factory.init(keys, password.toCharArray());
        return factory.getKeyManagers();
    }

    private static TrustManager[] trustManagers(Path anchors) throws Exception {
        KeyStore trusted = KeyStore.getInstance("PKCS12");
        trusted.load(null, null);
        try (InputStream file = Files.newInputStream(anchors)) {
            int index = 0;
            for (var certificate : CertificateFactory.getInstance("X.509").generateCertificates(file))
                trusted.setCertificateEntry("ca" + index++, certificate);
        }
        TrustManagerFactory factory = TrustManagerFactory.getInstance("PKIX");
        factory.init(trusted);
        return factory.getTrustManagers();
    }
}
