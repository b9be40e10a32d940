/* A PKCS#11 module before another one, for faults that no software token has: while a file of this name lies in $EPOST_HSM_FAULTS,
 *   away            the token is pulled out: no slot has one, every session is gone
 *   no-mechanisms   the token can do nothing
 *   last-try        one more wrong PIN locks it
 * and every login is a line in the file `logins` there, and `sessions` says how many are open, and how many were at most. The calls are numbered as PKCS#11 v2.40 lists them. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef unsigned long (*call)();
struct functions { unsigned char version[2]; call calls[68]; };
enum { GET_SLOT_LIST = 4, GET_TOKEN_INFO = 6, GET_MECHANISM_INFO = 8, OPEN_SESSION = 12, CLOSE_SESSION = 13,
       CLOSE_ALL_SESSIONS = 14,
       GET_SESSION_INFO = 15, LOGIN = 18, FIND_OBJECTS_INIT = 26, SIGN_INIT = 42 };
enum { OK = 0, DEVICE_REMOVED = 0x32, MECHANISM_INVALID = 0x70, USER_PIN_FINAL_TRY = 0x20000, FLAGS_AT = 96 };

static struct functions *real, ours;

static void sessions(int more) {
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static int now, most;
    char name[4096];
    pthread_mutex_lock(&lock);
    now = more ? now + more : 0;
    if (now > most) most = now;
    snprintf(name, sizeof name, "%s/sessions", getenv("EPOST_HSM_FAULTS"));
    FILE *file = fopen(name, "w");
    if (file) { fprintf(file, "%d %d\n", now, most); fclose(file); }
    pthread_mutex_unlock(&lock);
}

static const char *path(const char *name) {
    static _Thread_local char path[4096];
    const char *folder = getenv("EPOST_HSM_FAULTS");
    snprintf(path, sizeof path, "%s/%s", folder ? folder : "/nowhere", name);
    return path;
}

static int is(const char *fault) { return access(path(fault), F_OK) == 0; }

static int away(void) {
    static int was;
    int now = is("away");
    if (now && !was) {
        unsigned long slots[64], count = 64, i;
        if (real->calls[GET_SLOT_LIST](1, slots, &count) == OK)
            for (i = 0; i < count; i++) real->calls[CLOSE_ALL_SESSIONS](slots[i]);
        sessions(0);
    }
    return was = now;
}

static unsigned long get_slot_list(unsigned char present, unsigned long *slots, unsigned long *count) {
    if (away()) { *count = 0; return OK; }
    return real->calls[GET_SLOT_LIST](present, slots, count);
}

static unsigned long get_token_info(unsigned long slot, unsigned char *info) {
    if (away()) return DEVICE_REMOVED;
    unsigned long answer = real->calls[GET_TOKEN_INFO](slot, info);
    if (answer == OK && is("last-try")) *(unsigned long *)(info + FLAGS_AT) |= USER_PIN_FINAL_TRY;
    return answer;
}

static unsigned long get_mechanism_info(unsigned long slot, unsigned long mechanism, void *info) {
    if (away()) return DEVICE_REMOVED;
    return is("no-mechanisms") ? MECHANISM_INVALID : real->calls[GET_MECHANISM_INFO](slot, mechanism, info);
}

static unsigned long open_session(unsigned long slot, unsigned long flags, void *mine, void *notify, unsigned long *session) {
    if (away()) return DEVICE_REMOVED;
    unsigned long answer = real->calls[OPEN_SESSION](slot, flags, mine, notify, session);
    if (answer == OK) sessions(1);
    return answer;
}

static unsigned long close_session(unsigned long session) {
    unsigned long answer = real->calls[CLOSE_SESSION](session);
    if (answer == OK) sessions(-1);
    return answer;
}

static unsigned long get_session_info(unsigned long session, void *info) {
    return away() ? DEVICE_REMOVED : real->calls[GET_SESSION_INFO](session, info);
}

static unsigned long login(unsigned long session, unsigned long user, unsigned char *pin, unsigned long length) {
    FILE *logins = fopen(path("logins"), "a");
    if (logins) { fputs("login\n", logins); fclose(logins); }
    return away() ? DEVICE_REMOVED : real->calls[LOGIN](session, user, pin, length);
}

static unsigned long find_objects_init(unsigned long session, void *template, unsigned long count) {
    return away() ? DEVICE_REMOVED : real->calls[FIND_OBJECTS_INIT](session, template, count);
}

static unsigned long sign_init(unsigned long session, void *mechanism, unsigned long key) {
    return away() ? DEVICE_REMOVED : real->calls[SIGN_INIT](session, mechanism, key);
}

unsigned long C_GetFunctionList(struct functions **list) {
    const char *module = getenv("EPOST_HSM_MODULE");
    void *library = module ? dlopen(module, RTLD_NOW | RTLD_LOCAL) : NULL;
    call get = library ? (call)dlsym(library, "C_GetFunctionList") : NULL;
    if (!get || get(&real) != OK) return DEVICE_REMOVED;
    ours = *real;
    ours.calls[GET_SLOT_LIST] = (call)get_slot_list;
    ours.calls[GET_TOKEN_INFO] = (call)get_token_info;
    ours.calls[GET_MECHANISM_INFO] = (call)get_mechanism_info;
    ours.calls[OPEN_SESSION] = (call)open_session;
    ours.calls[CLOSE_SESSION] = (call)close_session;
    ours.calls[GET_SESSION_INFO] = (call)get_session_info;
    ours.calls[LOGIN] = (call)login;
    ours.calls[FIND_OBJECTS_INIT] = (call)find_objects_init;
    ours.calls[SIGN_INIT] = (call)sign_init;
    *list = &ours;
    return OK;
}
