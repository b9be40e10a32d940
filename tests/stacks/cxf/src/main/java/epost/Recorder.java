package epost;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import org.apache.cxf.endpoint.Client;
import org.apache.cxf.interceptor.AttachmentOutInterceptor;
import org.apache.cxf.interceptor.StaxOutInterceptor;
import org.apache.cxf.io.CacheAndWriteOutputStream;
import org.apache.cxf.io.CachedOutputStream;
import org.apache.cxf.io.CachedOutputStreamCallback;
import org.apache.cxf.message.Message;
import org.apache.cxf.phase.AbstractPhaseInterceptor;
import org.apache.cxf.phase.Phase;

/** Keeps what travels. */
class Recorder {
    private final Path folder;
    private int number;

    Recorder(Path folder) {
        this.folder = folder;
    }

    /** The last request and answer in the current folder, each with its Content-Type beside it: a helpdesk asks for them first. */
    static void keep(Client client) {
        new Recorder(Path.of("")) {
            @Override
            void write(String kind, String contentType, byte[] body) throws IOException {
                Files.write(Path.of(kind), body);
                Files.writeString(Path.of(kind + ".type"), contentType);
            }
        }.listen(client);
    }

    void listen(Client client) {
        client.getOutInterceptors().add(new Requests());
        client.getInInterceptors().add(new Answers());
    }

    /** NUMBER-request and NUMBER-answer, each the Content-Type, an empty line, the body's bytes. */
    void write(String kind, String contentType, byte[] body) throws IOException {
        Path file = folder.resolve(String.format("%03d-%s", number, kind));
        try (OutputStream stream = Files.newOutputStream(file)) {
            stream.write(("Content-Type: " + contentType + "\r\n\r\n").getBytes(StandardCharsets.UTF_8));
            stream.write(body);
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
