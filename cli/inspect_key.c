/* Key files and revocations: what they are, where they come from, whether they may still be used. */
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "inspect.h"

#include <stdio.h>
#include <string.h>

enum { CHAIN_MAX = 1000, GROUPED_BYTES = 2 * MSFL_HASH_BYTES + MSFL_HASH_BYTES / 2 + 1 };

/* --- the chain of predecessors --- */

typedef struct chain {
    msfl_keyfile *links[CHAIN_MAX]; /* from the key's predecessor backwards; owned */
    bool revoked[CHAIN_MAX];        /* the link of that number */
    size_t n;
    bool is_whole; /* the last link has no predecessor */
    bool has_trusted;
} chain;

static void chain_clear(chain *c) {
    for (size_t i = 0; i < c->n; i++)
        msfl_keyfile_free(c->links[i]);
    c->n = 0;
}

/** `path` as a public key that `next` follows directly; NULL if it is something else. ERR_CRYPTO for an impostor. */
static msfl_status try_link(const char *path, const msfl_keyfile *next, msfl_keyfile **out) {
    *out = NULL;
    if (cli_file_kind_of(path) != CLI_FILE_KEY) return MSFL_OK;
    msfl_keyfile *file;
    if (msfl_keyfile_read(path, &file) != MSFL_OK) return MSFL_OK; /* is told about itself if it was named */
    if (msfl_keyfile_info_borrow(file)->half != MSFL_KEY_PUBLIC) {
        msfl_keyfile_free(file);
        return MSFL_OK;
    }
    msfl_status status = msfl_keyfile_succeeds(next, file);
    if (status == MSFL_OK) {
        *out = file;
        return MSFL_OK;
    }
    msfl_keyfile_free(file);
    return status == MSFL_ERR_CRYPTO ? status : MSFL_OK;
}

/** The predecessor of `next`: beside the key in retired/, the trusted one, or among the files of the call. */
static msfl_status find_link(const char *key_path, const msfl_keyfile *next, const inspect_options *o,
                             msfl_keyfile **out) {
    char id[2 * MSFL_KEY_ID_BYTES + 1];
    msfl_hex(msfl_keyfile_info_borrow(next)->predecessor_id, MSFL_KEY_ID_BYTES, id);
    const char *slash = strrchr(key_path, '/');
    int n = slash == NULL ? 0 : (int)(slash - key_path + 1);
    char *retired = msfl_format("%.*sretired/%s.public.msk", n, key_path, id);
    char *beside = msfl_format("%.*s%s.public.msk", n, key_path, id); /* the key itself lies in retired/ */
    msfl_status status = retired == NULL || beside == NULL ? MSFL_ERR_MEMORY : try_link(retired, next, out);
    if (status == MSFL_OK && *out == NULL) status = try_link(beside, next, out);
    if (status == MSFL_OK && *out == NULL && o->trusted != NULL) status = try_link(o->trusted, next, out);
    for (size_t i = 0; status == MSFL_OK && *out == NULL && i < o->n_paths; i++)
        status = try_link(o->paths[i], next, out);
    msfl_free(retired);
    msfl_free(beside);
    return status;
}

static bool same_key(const msfl_keyfile *a, const msfl_keyfile *b) {
    return memcmp(msfl_keyfile_info_borrow(a)->fingerprint, msfl_keyfile_info_borrow(b)->fingerprint,
                  MSFL_HASH_BYTES) == 0;
}

/** Whether a link was revoked, as far as is known beside it, beside the key, or where the options say. */
static msfl_status look_at_link(const msfl_keyfile *link, const char *key_path, const inspect_options *o,
                                bool *is_revoked) {
    const char *slash = strrchr(key_path, '/');
    char *beside = slash == NULL ? msfl_strdup(".") : msfl_strndup(key_path, (size_t)(slash - key_path + 1));
    msfl_status status =
        beside == NULL ? MSFL_ERR_MEMORY : msfl_revocation_find(link, o->revocations, is_revoked, NULL);
    if (status == MSFL_OK && !*is_revoked) status = msfl_revocation_find(link, beside, is_revoked, NULL);
    msfl_free(beside);
    if (status == MSFL_ERR_FORMAT || status == MSFL_ERR_CRYPTO || status == MSFL_ERR_UNSUPPORTED) {
        *is_revoked = true; /* a damaged one is taken at its word: about a link, that is a warning and no refusal */
        return MSFL_OK;
    }
    return status;
}

static msfl_status follow(const msfl_keyfile *key, const inspect_options *o, chain *c) {
    msfl_keyfile *trusted = NULL;
    msfl_status status = o->trusted == NULL ? MSFL_OK : msfl_keyfile_read(o->trusted, &trusted);
    if (status == MSFL_OK && trusted != NULL && msfl_keyfile_info_borrow(trusted)->half != MSFL_KEY_PUBLIC) {
        status = msfl_fail(MSFL_ERR_MISMATCH, "%s is a secret key; --trusted takes a public one", o->trusted);
    }
    const msfl_keyfile *at = key;
    c->has_trusted = status == MSFL_OK && trusted != NULL && same_key(key, trusted);
    while (status == MSFL_OK && msfl_keyfile_info_borrow(at)->has_predecessor && c->n < CHAIN_MAX) {
        msfl_keyfile *link;
        status = find_link(msfl_keyfile_name(key), at, o, &link);
        if (status != MSFL_OK || link == NULL) break;
        c->links[c->n++] = link;
        at = link;
        status = look_at_link(link, msfl_keyfile_name(key), o, &c->revoked[c->n - 1]);
        if (trusted != NULL && same_key(at, trusted)) c->has_trusted = true;
    }
    c->is_whole = !msfl_keyfile_info_borrow(at)->has_predecessor;
    if (status == MSFL_OK && trusted != NULL && !c->has_trusted) {
        status =
            msfl_fail(MSFL_ERR_CRYPTO,
                      "no chain of signatures leads from %s back to %s: do not use it, or give the public keys between "
                      "them as well",
                      msfl_keyfile_name(key), o->trusted);
    }
    msfl_keyfile_free(trusted);
    return status;
}

/* --- words --- */

static void print_public(const msfl_keyfile *key, const chain *c, const char *trusted) {
    const msfl_keyfile_info *info = msfl_keyfile_info_borrow(key);
    char text[GROUPED_BYTES], id[2 * MSFL_KEY_ID_BYTES + 1];
    cli_grouped_hex(info->fingerprint, sizeof info->fingerprint, text);
    printf("  fingerprint  %s\n", text);
    printf("               (signed by itself; whether it is the right one, only comparing this another way tells)\n");
    if (info->has_predecessor) {
        msfl_hex(info->predecessor_id, sizeof info->predecessor_id, id);
        printf("  replaces     %s, which signed it\n", id);
    } else {
        printf("  replaces     nothing: the first of its line\n");
    }
    bool is_weak = false;
    for (size_t i = 0; i < c->n; i++) {
        const msfl_keyfile_info *link = msfl_keyfile_info_borrow(c->links[i]);
        msfl_hex(link->key_id, sizeof link->key_id, id);
        printf("  chain        %zu: %s, signature holds (%s)%s\n", i + 1, id, msfl_keyfile_name(c->links[i]),
               c->revoked[i] ? ", REVOKED" : "");
        is_weak |= c->revoked[i];
    }
    if (is_weak) {
        printf(
            "  chain        who took a key that was revoked can sign successors of it, too: the chain proves nothing\n"
            "               beyond it, so compare the fingerprint another way\n");
    }
    if (info->has_predecessor && !c->is_whole) {
        printf("  chain        earlier keys are not at hand, so nothing is said about them\n");
    }
    if (trusted != NULL) printf("  trusted      the chain leads back to %s\n", trusted);
}

static void print_secret(const msfl_keyfile_info *info) {
    if (info->by_passphrase) {
        printf("  sealed       under a passphrase (XChaCha20-Poly1305; Argon2id, %u passes over %llu MiB)\n",
               info->argon_passes, (unsigned long long)(info->argon_bytes >> 20));
    } else {
        printf("  sealed       under a key file (XChaCha20-Poly1305)\n");
    }
    printf("               whether it is genuine shows only when it is opened\n");
}

static void print_revoked(const msfl_revocation *r) {
    char when[32];
    cli_time_text(r->created, when);
    printf("  REVOKED      %s%s%s\n", when, r->reason[0] != 0 ? ": " : "", r->reason);
}

static void key_json(json_t *o, const msfl_keyfile *key, const chain *c, bool is_revoked, const msfl_revocation *r) {
    const msfl_keyfile_info *info = msfl_keyfile_info_borrow(key);
    bool is_public = info->half == MSFL_KEY_PUBLIC;
    json_object_set_new(o, "kind", json_string(is_public ? "public key" : "secret key"));
    json_object_set_new(o, "version", json_integer(info->version));
    inspect_hex(o, "key_id", info->key_id, sizeof info->key_id);
    inspect_spec(&info->spec, o);
    json_object_set_new(o, "created", json_integer(info->created));
    inspect_hex(o, "identity", info->identity, sizeof info->identity);
    json_object_set_new(o, "key_bytes", json_integer((json_int_t)info->key_bytes));
    json_object_set_new(o, "revoked", json_boolean(is_revoked));
    if (is_revoked) json_object_set_new(o, "revoked_because", msfl_json_string(r->reason));
    if (!is_public) {
        json_object_set_new(o, "sealed_by", json_string(info->by_passphrase ? "passphrase" : "key file"));
        json_object_set_new(o, "argon2id_passes", json_integer(info->argon_passes));
        json_object_set_new(o, "argon2id_bytes", json_integer((json_int_t)info->argon_bytes));
        return;
    }
    inspect_hex(o, "fingerprint", info->fingerprint, sizeof info->fingerprint);
    if (info->has_predecessor) inspect_hex(o, "predecessor", info->predecessor_id, sizeof info->predecessor_id);
    json_t *links = json_array(), *revoked = json_array();
    for (size_t i = 0; i < c->n; i++) {
        char id[2 * MSFL_KEY_ID_BYTES + 1];
        msfl_hex(msfl_keyfile_info_borrow(c->links[i])->key_id, MSFL_KEY_ID_BYTES, id);
        json_array_append_new(links, json_string(id));
        if (c->revoked[i]) json_array_append_new(revoked, json_string(id));
    }
    json_object_set_new(o, "chain", links);
    json_object_set_new(o, "chain_revoked", revoked);
    json_object_set_new(o, "chain_is_whole", json_boolean(c->is_whole));
}

msfl_status inspect_key(const char *path, const inspect_options *options, json_t **json) {
    msfl_keyfile *key;
    msfl_status status = msfl_keyfile_read(path, &key);
    if (status != MSFL_OK) return status;
    const msfl_keyfile_info *info = msfl_keyfile_info_borrow(key);
    const bool is_public = info->half == MSFL_KEY_PUBLIC;
    chain *c = msfl_alloc(1, sizeof *c);
    bool is_revoked = false;
    msfl_revocation r;
    status = c == NULL ? MSFL_ERR_MEMORY : MSFL_OK;
    if (status == MSFL_OK && is_public) status = follow(key, options, c);
    if (status == MSFL_OK) status = msfl_revocation_find(key, options->revocations, &is_revoked, &r);
    if (status == MSFL_OK && json != NULL) {
        json_t *o = json_object();
        if (o != NULL) {
            json_object_set_new(o, "file", msfl_json_string(path));
            key_json(o, key, c, is_revoked, &r);
        }
        status = inspect_done(o, json);
    } else if (status == MSFL_OK) {
        char id[2 * MSFL_KEY_ID_BYTES + 1], when[32];
        msfl_hex(info->key_id, sizeof info->key_id, id);
        cli_time_text(info->created, when);
        printf("%s: %s\n", path,
               is_public ? "a public key: encrypts, and may be given to anyone"
                         : "a secret key: opens everything that was encrypted under its public half");
        printf("  key          %s, made %s\n", id, when);
        inspect_spec(&info->spec, NULL);
        if (is_public) {
            print_public(key, c, options->trusted);
        } else {
            print_secret(info);
        }
        if (is_revoked) print_revoked(&r);
        if (!is_revoked) printf("  revoked      no revocation is at hand\n");
    }
    if (c != NULL) chain_clear(c);
    msfl_free(c);
    msfl_keyfile_free(key);
    return status;
}

msfl_status inspect_revocation(const char *path, json_t **json) {
    msfl_revocation r;
    msfl_status status = msfl_revocation_read(path, &r);
    if (status != MSFL_OK) return status;
    if (json != NULL) {
        json_t *o = json_object();
        if (o != NULL) {
            json_object_set_new(o, "file", msfl_json_string(path));
            json_object_set_new(o, "kind", json_string("revocation"));
            inspect_hex(o, "key_id", r.key_id, sizeof r.key_id);
            inspect_hex(o, "identity", r.identity, sizeof r.identity);
            json_object_set_new(o, "created", json_integer(r.created));
            json_object_set_new(o, "reason", msfl_json_string(r.reason));
        }
        return inspect_done(o, json);
    }
    char id[2 * MSFL_KEY_ID_BYTES + 1], text[GROUPED_BYTES];
    msfl_hex(r.key_id, sizeof r.key_id, id);
    cli_grouped_hex(r.identity, sizeof r.identity, text);
    printf("%s: a revocation: this key must not be used any more\n", path);
    printf("  key          %s\n", id);
    printf("  signed by    %s\n", text);
    printf("               (counts for a public key that names the same identity)\n");
    print_revoked(&r);
    return MSFL_OK;
}
