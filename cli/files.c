#include "files.h"

#include "base/error.h"
#include "base/file.h"
#include "base/sodium.h"
#include "cmd.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

cli_file_kind cli_file_kind_of(const char *path) {
    char start[8] = {0};
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode)) return CLI_FILE_OTHER; /* a pipe would keep us waiting */
    FILE *f = fopen(path, "rb");
    if (f == NULL) return CLI_FILE_OTHER;
    size_t n = fread(start, 1, sizeof start, f);
    (void)fclose(f);
    if (n >= 4 && memcmp(start, "\x89HDF", 4) == 0) return CLI_FILE_MODEL;
    if (n < 8 || start[7] != 0) return CLI_FILE_OTHER;
    if (strcmp(start, "MSFLKEY") == 0) return CLI_FILE_KEY;
    if (strcmp(start, "MSFLENC") == 0) return CLI_FILE_CIPHER;
    if (strcmp(start, "MSFLREV") == 0) return CLI_FILE_REVOCATION;
    return CLI_FILE_OTHER;
}

int cli_folder_length(const char *folder) {
    size_t n = strlen(folder);
    while (n > 1 && folder[n - 1] == '/')
        n--;
    return (int)n;
}

cli_terminal *cli_watch(const char *name, bool quiet, msfl_observer *observer) {
    cli_terminal *terminal = cli_terminal_new(&name, 1, quiet);
    *observer = (msfl_observer){cli_terminal_observe, terminal, cli_cancel_flag()};
    return terminal;
}

void cli_grouped_hex(const uint8_t *bytes, size_t n, char *text) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && i % 2 == 0) *text++ = ' ';
        *text++ = digits[bytes[i] >> 4];
        *text++ = digits[bytes[i] & 15];
    }
    *text = 0;
}

static int digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

msfl_status cli_key_id_parse(const char *text, uint8_t id[MSFL_KEY_ID_BYTES]) {
    bool good = strlen(text) == (size_t)2 * MSFL_KEY_ID_BYTES;
    for (size_t i = 0; good && i < MSFL_KEY_ID_BYTES; i++) {
        int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
        good = high >= 0 && low >= 0;
        id[i] = (uint8_t)(16 * (high & 15) + (low & 15));
    }
    if (good) return MSFL_OK;
    return msfl_fail(MSFL_ERR_USAGE, "'%s' is not a key id: 32 hexadecimal digits, as inspect shows them", text);
}

void cli_time_text(int64_t seconds, char text[32]) {
    time_t t = (time_t)seconds;
    struct tm parts;
    if (gmtime_r(&t, &parts) == NULL || strftime(text, 32, "%Y-%m-%d %H:%M:%S UTC", &parts) == 0) {
        snprintf(text, 32, "at an unknown time");
    }
}

msfl_status cli_refuse_revoked(const msfl_keyfile *key, const char *more, bool warn_only) {
    bool is_revoked;
    msfl_revocation r;
    msfl_status status = msfl_revocation_find(key, more, &is_revoked, &r);
    if (status != MSFL_OK || !is_revoked) return status;
    char when[32], id[2 * MSFL_KEY_ID_BYTES + 1];
    cli_time_text(r.created, when);
    msfl_hex(r.key_id, sizeof r.key_id, id);
    status = msfl_fail(MSFL_ERR_POLICY, "the key %s of %s was revoked on %s%s%s", id, msfl_keyfile_name(key), when,
                       r.reason[0] != 0 ? ": " : "", r.reason);
    if (!warn_only) return status;
    fprintf(stderr, "warning: %s\n", msfl_error_message());
    return MSFL_OK;
}

msfl_status cli_refuse_existing(const char *path, bool replace) {
    if (!msfl_file_exists(path)) return MSFL_OK;
    if (cli_file_kind_of(path) == CLI_FILE_KEY) { /* a slip of the hand would cost all that is encrypted under it */
        return msfl_fail(MSFL_ERR_EXISTS, "%s is a key: it is not overwritten, --force or not", path);
    }
    if (replace) return MSFL_OK;
    return msfl_fail(MSFL_ERR_EXISTS, "%s is already there; --force overwrites it", path);
}
