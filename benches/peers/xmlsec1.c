/* The C peers, measured as we measure ourselves: CPU time of one call, the median of 25 groups.
 *
 *   xmlsec1 verify CERTIFICATE.pem REQUEST.xml    libxml2 parses, xmlsec1 verifies with the key given: no path, no CRLs
 *   xmlsec1 c14n DOCUMENT.xml                     libxml2 parses and canonicalises (exclusive), OpenSSL digests
 *
 * Prints nanoseconds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libxml/c14n.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <openssl/evp.h>
#include <xmlsec/crypto.h>
#include <xmlsec/xmldsig.h>
#include <xmlsec/xmlsec.h>
#include <xmlsec/xmltree.h>

#define GROUPS 25
#define GROUP_NS 20000000.0

static char *input;
static int input_bytes;
static xmlSecKeyPtr key;

static void must(int holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "xmlsec1 driver: %s\n", what);
        exit(1);
    }
}

static xmlDocPtr parse(void) {
    xmlDocPtr document = xmlReadMemory(input, input_bytes, NULL, NULL, XML_PARSE_HUGE | XML_PARSE_NONET);
    must(document != NULL, "does not parse");
    return document;
}

/* wsu:Id is no ID by its type: without a DTD somebody has to say so. */
static void name_ids(xmlDocPtr document, xmlNodePtr node) {
    for (; node != NULL; node = node->next) {
        if (node->type != XML_ELEMENT_NODE) continue;
        for (xmlAttrPtr attribute = node->properties; attribute != NULL; attribute = attribute->next) {
            if (strcmp((const char *)attribute->name, "Id") != 0 || attribute->ns == NULL) continue;
            xmlChar *value = xmlNodeListGetString(document, attribute->children, 1);
            must(xmlAddID(NULL, document, value, attribute) != NULL, "an Id that is there twice");
            xmlFree(value);
        }
        name_ids(document, node->children);
    }
}

static void verify(void) {
    xmlDocPtr document = parse();
    name_ids(document, xmlDocGetRootElement(document));
    xmlNodePtr signature = xmlSecFindNode(xmlDocGetRootElement(document), xmlSecNodeSignature, xmlSecDSigNs);
    xmlSecDSigCtxPtr context = xmlSecDSigCtxCreate(NULL);
    must(signature != NULL && context != NULL, "no signature");
    context->signKey = xmlSecKeyDuplicate(key);
    must(xmlSecDSigCtxVerify(context, signature) == 0, "verification did not run");
    must(context->status == xmlSecDSigStatusSucceeded, "the signature is not valid");
    xmlSecDSigCtxDestroy(context);
    xmlFreeDoc(document);
}

static void canonicalize(void) {
    xmlDocPtr document = parse();
    xmlChar *canonical = NULL;
    int bytes = xmlC14NDocDumpMemory(document, NULL, XML_C14N_EXCLUSIVE_1_0, NULL, 0, &canonical);
    unsigned char digest[EVP_MAX_MD_SIZE];
    must(bytes > 0, "does not canonicalise");
    must(EVP_Digest(canonical, (size_t)bytes, digest, NULL, EVP_sha256(), NULL) == 1, "does not digest");
    xmlFree(canonical);
    xmlFreeDoc(document);
}

static double cpu_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static int ascending(const void *one, const void *other) {
    double difference = *(const double *)one - *(const double *)other;
    return (difference > 0) - (difference < 0);
}

static double median_ns(void (*call)(void)) {
    double groups[GROUPS];
    call();
    double begun = cpu_ns();
    call();
    int calls = (int)(GROUP_NS / (cpu_ns() - begun)) + 2;
    for (int group = 0; group < GROUPS; group++) {
        begun = cpu_ns();
        for (int i = 0; i < calls; i++) call();
        groups[group] = (cpu_ns() - begun) / calls;
    }
    qsort(groups, GROUPS, sizeof groups[0], ascending);
    return groups[GROUPS / 2];
}

static void read_input(const char *path) {
    FILE *file = fopen(path, "rb");
    must(file != NULL && fseek(file, 0, SEEK_END) == 0, "the input cannot be read");
    input_bytes = (int)ftell(file);
    rewind(file);
    input = malloc((size_t)input_bytes);
    must(input != NULL && fread(input, 1, (size_t)input_bytes, file) == (size_t)input_bytes, "a short read");
    fclose(file);
}

int main(int count, char **arguments) {
    int verifies = count == 4 && strcmp(arguments[1], "verify") == 0;
    must(verifies || (count == 3 && strcmp(arguments[1], "c14n") == 0), "verify CERTIFICATE REQUEST | c14n DOCUMENT");
    xmlInitParser();
    must(xmlSecInit() >= 0 && xmlSecCryptoAppInit(NULL) >= 0 && xmlSecCryptoInit() >= 0, "xmlsec1 does not start");
    read_input(arguments[count - 1]);
    if (verifies) {
        key = xmlSecCryptoAppKeyLoad(arguments[2], xmlSecKeyDataFormatCertPem, NULL, NULL, NULL);
        must(key != NULL, "the key cannot be read");
    }
    printf("%.0f\n", median_ns(verifies ? verify : canonicalize));
    return 0;
}
