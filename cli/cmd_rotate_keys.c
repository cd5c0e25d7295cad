/* medsecurefl rotate-keys: a successor, a revocation, another passphrase. */
#include "base/error.h"
#include "base/sodium.h"
#include "cmd.h"
#include "files.h"
#include "unlock.h"

#include <stdio.h>
#include <string.h>

typedef struct words {
    const char *folder, *revoke, *reason;
    bool revoke_old, rewrap, recover;
    cli_unlock from, new_from;
} words;

static bool has_new(const words *w) {
    return w->new_from.passphrase_file != NULL || w->new_from.key_file != NULL;
}

static msfl_status revoke(const words *w, const uint8_t *id, const msfl_unlock *unlock) {
    char *path, hex[2 * MSFL_KEY_ID_BYTES + 1];
    msfl_status status = msfl_keystore_revoke(w->folder, id, unlock, w->reason, &path);
    if (status != MSFL_OK) return status;
    msfl_hex(id, MSFL_KEY_ID_BYTES, hex);
    printf("revoked      %s\n", hex);
    printf("             give %s to everyone who encrypts: beside public.msk, or with --revocations\n", path);
    msfl_keystore_text_free(path);
    return MSFL_OK;
}

static msfl_status rotate(const words *w, const msfl_unlock *unlock, const msfl_unlock *new_unlock) {
    msfl_keystore_result result;
    msfl_status status = msfl_keystore_rotate(w->folder, unlock, new_unlock, &result);
    if (status != MSFL_OK) return status;
    char id[2 * MSFL_KEY_ID_BYTES + 1], old[2 * MSFL_KEY_ID_BYTES + 1],
        print[2 * MSFL_HASH_BYTES + MSFL_HASH_BYTES / 2 + 1];
    msfl_hex(result.key_id, sizeof result.key_id, id);
    msfl_hex(result.previous_id, sizeof result.previous_id, old);
    cli_grouped_hex(result.fingerprint, sizeof result.fingerprint, print);
    if (result.has_recovered) printf("an interrupted rotation was put in order first\n");
    printf("key          %s, signed by the one it replaces\n", id);
    printf("fingerprint  %s\n", print);
    printf("replaced     %s: both halves are in %.*s/retired, the secret one sealed as it was\n", old,
           cli_folder_length(w->folder), w->folder);
    printf(
        "             give %.*s/public.msk to every hospital; 'inspect --trusted OLD.msk public.msk' checks it there\n",
        cli_folder_length(w->folder), w->folder);
    if (!w->revoke_old) return MSFL_OK;
    status = revoke(w, result.previous_id, unlock);
    if (status == MSFL_OK) return MSFL_OK;
    return msfl_fail_in(status, "the keys were replaced, but the old one is not revoked yet (rotate-keys --revoke %s)",
                        old);
}

static msfl_status recover(const words *w) {
    bool recovered;
    msfl_status status = msfl_keystore_recover(w->folder, &recovered);
    if (status == MSFL_OK)
        printf("%s\n", recovered ? "an interrupted rotation was put in order" : "nothing was left undone");
    return status;
}

static msfl_status run(const words *w) {
    if (w->recover) return recover(w);
    uint8_t id[MSFL_KEY_ID_BYTES];
    msfl_unlock *unlock = NULL, *new_unlock = NULL;
    msfl_status status = w->revoke != NULL ? cli_key_id_parse(w->revoke, id) : MSFL_OK;
    if (status == MSFL_OK) status = cli_unlock_read(&w->from, "", "passphrase of the present key", false, &unlock);
    if (status == MSFL_OK && (has_new(w) || w->rewrap)) {
        status = cli_unlock_read(&w->new_from, "new-", "new passphrase", true, &new_unlock);
    }
    if (status == MSFL_OK && w->revoke != NULL) {
        status = revoke(w, id, unlock);
    } else if (status == MSFL_OK && w->rewrap) {
        status = msfl_keystore_rewrap(w->folder, unlock, new_unlock);
        if (status == MSFL_OK) printf("the secret key is sealed anew; copies of the old file still open as before\n");
    } else if (status == MSFL_OK) {
        status = rotate(w, unlock, new_unlock);
    }
    msfl_unlock_free(unlock);
    msfl_unlock_free(new_unlock);
    cli_warn_of_unlocked_memory();
    return status;
}

msfl_status cmd_rotate_keys(int argc, char **argv) {
    words w = {0};
    const cli_option options[] = {
        {"passphrase-file", CLI_TEXT, &w.from.passphrase_file, 0, 0, NULL},
        {"keyfile", CLI_TEXT, &w.from.key_file, 0, 0, NULL},
        {"new-passphrase-file", CLI_TEXT, &w.new_from.passphrase_file, 0, 0, NULL},
        {"new-keyfile", CLI_TEXT, &w.new_from.key_file, 0, 0, NULL},
        {"revoke-old", CLI_FLAG, &w.revoke_old, 0, 0, NULL},
        {"revoke", CLI_TEXT, &w.revoke, 0, 0, NULL},
        {"reason", CLI_TEXT, &w.reason, 0, 0, NULL},
        {"rewrap", CLI_FLAG, &w.rewrap, 0, 0, NULL},
        {"recover", CLI_FLAG, &w.recover, 0, 0, NULL},
        {0},
    };
    size_t n;
    msfl_status status = cli_parse(argc, argv, options, &w.folder, 1, &n);
    if (status != MSFL_OK) return status;
    if (n != 1) return msfl_fail(MSFL_ERR_USAGE, "rotate-keys takes the folder of the keys; see --help");
    if (w.revoke_old + (w.revoke != NULL) + w.rewrap + w.recover > 1) {
        return msfl_fail(MSFL_ERR_USAGE, "one of --revoke-old, --revoke, --rewrap, --recover at a time");
    }
    if (w.reason != NULL && !w.revoke_old && w.revoke == NULL) {
        return msfl_fail(MSFL_ERR_USAGE, "--reason goes with --revoke or --revoke-old");
    }
    return run(&w);
}
