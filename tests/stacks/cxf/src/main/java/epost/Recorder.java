package epost;

import be.socialsecurity.registeredmail.v1.RegisteredMailPortType;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import org.apache.cxf.endpoint.Client;
import org.apache.cxf.frontend.ClientProxy;
import org.apache.cxf.interceptor.AttachmentOutInterceptor;
import org.apache.cxf.interceptor.StaxOutInterceptor;
import org.apache.cxf.io.CacheAndWriteOutputStream;
import org.apache.cxf.io.CachedOutputStream;
import org.apache.cxf.io.CachedOutputStreamCallback;
import org.apache.cxf.message.Message;
import org.apache.cxf.phase.AbstractPhaseInterceptor;
import org.apache.cxf.phase.Phase;

/** Keeps what travels: NUMBER-request and NUMBER-answer, each the Content-Type, an empty line, the body's bytes. */
final class Recorder {
    private final Path folder;
    private int number;

    Recorder(Path folder) {
        this.folder = folder;
    }

    void listen(RegisteredMailPortType port) {
        Client client = ClientProxy.getClient(port);
        client.getOutInterceptors().add(new Requests());
        client.getInInterceptors().add(new Answers());
    }

    private void write(String kind, String contentType, byte[] body) {
        Path file = folder.resolve(String.format("%03d-%s", number, kind));
        try (OutputStream stream = Files.newOutputStream(file)) {
            stream.write(("Content-Type: " + contentType + "\r\n\r\n").getBytes(StandardCharsets.UTF_8));
            stream.write(body);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private final class Requests extends AbstractPhaseInterceptor<Message> {
        Requests() {
            super(Phase.PRE_STREAM);
            addBefore(AttachmentOutInterceptor.class.getName());
            addBefore(StaxOutInterceptor.class.getName());
        }

        @Override
        public void handleMessage(Message message) {
            number++;
            CacheAndWriteOutputStream stream = new CacheAndWriteOutputStream(message.getContent(OutputStream.class));
            stream.setThreshold(Long.MAX_VALUE);
            stream.registerCallback(new CachedOutputStreamCallback() {
                public void onFlush(CachedOutputStream ignored) {}

                public void onClose(CachedOutputStream written) {
                    try (InputStream bytes = written.getInputStream()) {
                        write("request", (String) message.get(Message.CONTENT_TYPE), bytes.readAllBytes());
                    } catch (IOException error) {
                        throw new UncheckedIOException(error);
                    }
                }
            });
            message.setContent(OutputStream.class, stream);
        }
    }

    private final class Answers extends AbstractPhaseInterceptor<Message> {
        Answers() {
            super(Phase.RECEIVE);
        }

        @Override
        public void handleMessage(Message message) {
            InputStream stream = message.getContent(InputStream.class);
            if (stream == null) return;
            try {
                byte[] bytes = stream.readAllBytes();
                write("answer", (String) message.get(Message.CONTENT_TYPE), bytes);
                message.setContent(InputStream.class, new ByteArrayInputStream(bytes));
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        }
    }
}
