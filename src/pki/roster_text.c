/* A roster as signed text: YAML that people can read, of which a machine checks every byte. */
#include "base/error.h"
#include "base/mem.h"
#include "pki/roster.h"
#include "pki/signed.h"
#include "text/yaml.h"

#include <stdio.h>

static const char LABEL[] = "msfl.pki.roster.v1";
static const char FORMAT[] = "medsecurefl-roster";
/* Version 1 says nothing of rounds; what it can say is written in it still. */
enum { VERSION_PARTIES = 1, VERSION = 2, HEX_MAX = 2 * MSFL_SIGN_BYTES + 1 };

static void put_hex(msfl_buffer *b, const char *field, const uint8_t *bytes, size_t n) {
    char hex[HEX_MAX];
    msfl_hex(bytes, n, hex);
    msfl_put_text(b, "%s: \"%s\"\n", field, hex);
}

static void put_party(msfl_buffer *b, const pki_party *p) {
    msfl_put_text(b, "  - name: %s\n    role: %s\n", p->name, pki_role_name(p->role));
    put_hex(b, "    sign", p->sign, sizeof p->sign);
    put_hex(b, "    box", p->box, sizeof p->box);
    msfl_put_text(b, "    certificates:%s\n", p->n_certificates == 0 ? " []" : "");
    for (uint32_t i = 0; i < p->n_certificates; i++) {
        const pki_certificate *c = &p->certificates[i];
        put_hex(b, "      - serial", c->serial, sizeof c->serial);
        put_hex(b, "        key", c->key, sizeof c->key);
        msfl_put_text(b, "        not_after: %lld\n", (long long)c->not_after);
    }
}

static void put_names(msfl_buffer *b, const char *field, const char (*names)[PKI_NAME_MAX + 1], uint32_t n) {
    msfl_put_text(b, "%s: [", field);
    for (uint32_t i = 0; i < n; i++)
        msfl_put_text(b, "%s%s", i == 0 ? "" : i % 8 == 0 ? ",\n  " : ", ", names[i]);
    msfl_put_text(b, "]\n");
}

static void put_round(msfl_buffer *b, const pki_roster *r) {
    msfl_put_text(b, "custody: %s\n", msfl_custody_name(r->custody));
    put_names(b, "members", r->members, r->n_members);
    msfl_put_text(b, "t: %u\nf: %u\n", r->threshold, r->corrupt);
    put_hex(b, "round", r->round, sizeof r->round);
}

msfl_status pki_roster_text(const pki_roster *r, msfl_buffer *out) {
    int version = r->n_members == 0 && r->n_awaited == 0 ? VERSION_PARTIES : VERSION;
    msfl_put_text(out, "format: %s\nversion: %d\nfederation: %s\nepoch: %u\ncreated: %lld\nurl: \"%s\"\n", FORMAT,
                  version, r->federation, r->epoch, (long long)r->created, r->url);
    put_hex(out, "consortium", r->consortium, sizeof r->consortium);
    put_hex(out, "authority", r->authority, sizeof r->authority);
    if (r->n_members > 0) put_round(out, r);
    if (r->n_awaited > 0) put_names(out, "awaited", r->awaited, r->n_awaited);
    msfl_put_text(out, "parties:%s\n", r->n_parties == 0 ? " []" : "");
    for (uint32_t i = 0; i < r->n_parties; i++)
        put_party(out, &r->parties[i]);
    msfl_put_text(out, "revoked:%s\n", r->n_revoked == 0 ? " []" : "");
    for (uint32_t i = 0; i < r->n_revoked; i++) {
        const pki_revoked *x = &r->revoked[i];
        msfl_put_text(out, "  - name: %s\n", x->name);
        put_hex(out, "    serial", x->serial, sizeof x->serial);
        msfl_put_text(out, "    when: %lld\n    not_after: %lld\n    reason: \"%s\"\n", (long long)x->when,
                      (long long)x->not_after, x->reason);
    }
    return out->status;
}

msfl_status pki_roster_sign(const pki_roster *r, const uint8_t secret[MSFL_SIGN_SECRET_BYTES], msfl_buffer *out) {
    msfl_status status = pki_roster_check(r);
    if (status == MSFL_OK) status = pki_roster_text(r, out);
    return status == MSFL_OK ? pki_signed_close(out, LABEL, secret) : status;
}

/* --- reading --- */

static msfl_status get_hex(const char *name, const msfl_yaml *map, const char *key, uint8_t *out, size_t n) {
    const msfl_yaml *node = msfl_yaml_get(map, key);
    if (node != NULL && node->kind == MSFL_YAML_SCALAR && pki_hex_read(node->text, out, n)) return MSFL_OK;
    return msfl_yaml_fail(name, node != NULL ? node : map, "%s is %zu hexadecimal digits", key, 2 * n);
}

static msfl_status get_text(const char *name, const msfl_yaml *map, const char *key, char *out, size_t size) {
    const msfl_yaml *node = msfl_yaml_get(map, key);
    if (node == NULL || node->kind != MSFL_YAML_SCALAR || strlen(node->text) >= size) {
        return msfl_yaml_fail(name, node != NULL ? node : map, "%s is a text of less than %zu bytes", key, size);
    }
    memcpy(out, node->text, strlen(node->text) + 1);
    return MSFL_OK;
}

static msfl_status get_time(const char *name, const msfl_yaml *map, const char *key, int64_t *out) {
    uint32_t seconds;
    const msfl_yaml *node = msfl_yaml_get(map, key);
    if (node == NULL) return msfl_yaml_fail(name, map, "%s is missing", key);
    msfl_status status = msfl_yaml_u32(name, node, key, 0, UINT32_MAX, &seconds);
    if (status == MSFL_OK) *out = seconds;
    return status;
}

static msfl_status get_list(const char *name, const msfl_yaml *map, const char *key, uint32_t n_max,
                            const msfl_yaml **out) {
    const msfl_yaml *node = msfl_yaml_get(map, key);
    if (node == NULL || node->kind != MSFL_YAML_SEQUENCE || node->n > n_max) {
        return msfl_yaml_fail(name, node != NULL ? node : map, "%s is a list of at most %u", key, n_max);
    }
    *out = node->first;
    return MSFL_OK;
}

static msfl_status get_certificate(const char *name, const msfl_yaml *map, pki_certificate *out) {
    static const char *const keys[] = {"serial", "key", "not_after", NULL};
    msfl_status status = msfl_yaml_only(name, map, keys);
    if (status == MSFL_OK) status = get_hex(name, map, "serial", out->serial, sizeof out->serial);
    if (status == MSFL_OK) status = get_hex(name, map, "key", out->key, sizeof out->key);
    if (status == MSFL_OK) status = get_time(name, map, "not_after", &out->not_after);
    return status;
}

static msfl_status get_party(const char *name, const msfl_yaml *map, pki_party *out) {
    static const char *const keys[] = {"name", "role", "sign", "box", "certificates", NULL};
    char role[PKI_NAME_MAX + 1];
    const msfl_yaml *at = NULL;
    msfl_status status = msfl_yaml_only(name, map, keys);
    if (status == MSFL_OK) status = get_text(name, map, "name", out->name, sizeof out->name);
    if (status == MSFL_OK) status = get_text(name, map, "role", role, sizeof role);
    if (status == MSFL_OK) status = pki_role_find(role, &out->role);
    if (status == MSFL_OK) status = get_hex(name, map, "sign", out->sign, sizeof out->sign);
    if (status == MSFL_OK) status = get_hex(name, map, "box", out->box, sizeof out->box);
    if (status == MSFL_OK) status = get_list(name, map, "certificates", PKI_CERTIFICATES_MAX, &at);
    for (; status == MSFL_OK && at != NULL; at = at->next)
        status = get_certificate(name, at, &out->certificates[out->n_certificates++]);
    return status;
}

static msfl_status get_revoked(const char *name, const msfl_yaml *map, pki_revoked *out) {
    static const char *const keys[] = {"name", "serial", "when", "not_after", "reason", NULL};
    msfl_status status = msfl_yaml_only(name, map, keys);
    if (status == MSFL_OK) status = get_text(name, map, "name", out->name, sizeof out->name);
    if (status == MSFL_OK) status = get_hex(name, map, "serial", out->serial, sizeof out->serial);
    if (status == MSFL_OK) status = get_time(name, map, "when", &out->when);
    if (status == MSFL_OK) status = get_time(name, map, "not_after", &out->not_after);
    if (status == MSFL_OK) status = get_text(name, map, "reason", out->reason, sizeof out->reason);
    return status;
}

static msfl_status get_names(const char *name, const msfl_yaml *map, const char *key, uint32_t n_max,
                             char (*names)[PKI_NAME_MAX + 1], uint32_t *n) {
    const msfl_yaml *at = NULL;
    msfl_status status = get_list(name, map, key, n_max, &at);
    for (; status == MSFL_OK && at != NULL; at = at->next) {
        if (at->kind != MSFL_YAML_SCALAR || pki_name_check(key, at->text) != MSFL_OK) {
            return msfl_yaml_fail(name, at, "%s is a list of names", key);
        }
        memcpy(names[(*n)++], at->text, strlen(at->text) + 1);
    }
    return status;
}

/* All five or none: a committee without a signature is nobody's. */
static msfl_status get_round(const char *name, const msfl_yaml *map, pki_roster *r) {
    static const char *const keys[] = {"custody", "members", "t", "f", "round"};
    char custody[PKI_NAME_MAX + 1];
    uint32_t n = 0;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        n += msfl_yaml_get(map, keys[i]) != NULL;
    if (n == 0) return MSFL_OK;
    if (n != sizeof keys / sizeof keys[0]) {
        return msfl_yaml_fail(name, map, "of custody, members, t, f and round some are missing");
    }
    msfl_status status = get_text(name, map, "custody", custody, sizeof custody);
    if (status == MSFL_OK) status = msfl_custody_find(custody, &r->custody);
    if (status == MSFL_OK) status = get_names(name, map, "members", MSFL_COMMITTEE_MAX, r->members, &r->n_members);
    if (status == MSFL_OK && r->n_members == 0) status = msfl_yaml_fail(name, map, "a committee has a member");
    if (status == MSFL_OK) {
        status = msfl_yaml_u32(name, msfl_yaml_get(map, "t"), "t", 1, MSFL_COMMITTEE_MAX, &r->threshold);
    }
    if (status == MSFL_OK) {
        status = msfl_yaml_u32(name, msfl_yaml_get(map, "f"), "f", 0, MSFL_COMMITTEE_MAX, &r->corrupt);
    }
    return status == MSFL_OK ? get_hex(name, map, "round", r->round, sizeof r->round) : status;
}

static msfl_status get_roster(const char *name, const msfl_yaml *map, pki_roster *r) {
    static const char *const keys[] = {"format",     "version",   "federation", "epoch",   "created",   "url",
                                       "consortium", "authority", "custody",    "members", "t",         "f",
                                       "round",      "awaited",   "parties",    "revoked", "signature", NULL};
    static const char *const formats[] = {FORMAT, NULL};
    uint32_t format, version = 0;
    const msfl_yaml *at = NULL;
    msfl_status status = msfl_yaml_only(name, map, keys);
    const msfl_yaml *f = msfl_yaml_get(map, "format"), *v = msfl_yaml_get(map, "version");
    const msfl_yaml *epoch = msfl_yaml_get(map, "epoch");
    if (status == MSFL_OK && (f == NULL || v == NULL || epoch == NULL)) {
        status = msfl_yaml_fail(name, map, "this is not a roster");
    }
    if (status == MSFL_OK) status = msfl_yaml_choice(name, f, "format", formats, &format);
    if (status == MSFL_OK) status = msfl_yaml_u32(name, v, "version", VERSION_PARTIES, VERSION, &version);
    if (status == MSFL_OK) status = msfl_yaml_u32(name, epoch, "epoch", 1, UINT32_MAX, &r->epoch);
    if (status == MSFL_OK) status = get_text(name, map, "federation", r->federation, sizeof r->federation);
    if (status == MSFL_OK) status = get_time(name, map, "created", &r->created);
    if (status == MSFL_OK) status = get_text(name, map, "url", r->url, sizeof r->url);
    if (status == MSFL_OK) status = get_hex(name, map, "consortium", r->consortium, sizeof r->consortium);
    if (status == MSFL_OK) status = get_hex(name, map, "authority", r->authority, sizeof r->authority);
    if (status == MSFL_OK && version < VERSION &&
        (msfl_yaml_get(map, "custody") != NULL || msfl_yaml_get(map, "awaited") != NULL)) {
        status = msfl_yaml_fail(name, map, "a roster of version %u says nothing of rounds", version);
    }
    if (status == MSFL_OK) status = get_round(name, map, r);
    if (status == MSFL_OK && msfl_yaml_get(map, "awaited") != NULL) {
        status = get_names(name, map, "awaited", PKI_PARTIES_MAX, r->awaited, &r->n_awaited);
    }
    if (status == MSFL_OK) status = get_list(name, map, "parties", PKI_PARTIES_MAX, &at);
    for (; status == MSFL_OK && at != NULL; at = at->next)
        status = get_party(name, at, &r->parties[r->n_parties++]);
    if (status == MSFL_OK) status = get_list(name, map, "revoked", PKI_REVOKED_MAX, &at);
    for (; status == MSFL_OK && at != NULL; at = at->next)
        status = get_revoked(name, at, &r->revoked[r->n_revoked++]);
    return status;
}

msfl_status pki_roster_parse(const char *name, const char *text, size_t length,
                             const uint8_t consortium[MSFL_SIGN_PUBLIC_BYTES], pki_roster **out) {
    *out = NULL;
    if (length > PKI_ROSTER_BYTES_MAX) return msfl_fail(MSFL_ERR_LIMIT, "%s: %zu bytes are no roster", name, length);
    /* The signature first: nobody but the consortium gets text as far as the YAML parser. */
    msfl_status status = pki_signed_check(name, text, length, LABEL, consortium);
    if (status != MSFL_OK) return status;
    msfl_yaml *root = NULL;
    pki_roster *roster = pki_roster_new();
    status = roster == NULL
                 ? MSFL_NO_MEMORY
                 : msfl_yaml_parse_within(name, text, length, PKI_ROSTER_BYTES_MAX, PKI_ROSTER_NODES_MAX, &root);
    if (status == MSFL_OK) status = get_roster(name, root, roster);
    if (status == MSFL_OK) status = pki_roster_check(roster);
    if (status == MSFL_OK && memcmp(roster->consortium, consortium, sizeof roster->consortium) != 0) {
        status = msfl_fail(MSFL_ERR_MISMATCH, "%s names another consortium key than the one that signed it", name);
    }
    msfl_yaml_free(root);
    if (status != MSFL_OK) {
        msfl_free(roster);
        return status;
    }
    *out = roster;
    return MSFL_OK;
}
