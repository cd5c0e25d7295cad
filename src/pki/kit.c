#include "pki/kit.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "text/yaml.h"

#include <stdio.h>
#include <time.h>

msfl_status pki_folder_read(const char *folder, const char *file, size_t bytes_max, char **text, size_t *length) {
    *text = NULL;
    *length = 0;
    char *path = msfl_path_join(folder, file);
    if (path == NULL) return MSFL_NO_MEMORY;
    msfl_status status = msfl_file_read(path, bytes_max, (uint8_t **)text, length);
    msfl_free(path);
    return status;
}

msfl_status pki_folder_write(const char *folder, const char *file, const void *bytes, size_t length) {
    char *path = msfl_path_join(folder, file);
    if (path == NULL) return MSFL_NO_MEMORY;
    msfl_status status = msfl_file_write(path, bytes, length);
    msfl_free(path);
    return status;
}

static msfl_status get_text(const char *name, const msfl_yaml *map, const char *key, bool optional, char *out,
                            size_t size) {
    const msfl_yaml *node = msfl_yaml_get(map, key);
    out[0] = 0;
    if (node == NULL && optional) return MSFL_OK;
    if (node == NULL || node->kind != MSFL_YAML_SCALAR || strlen(node->text) >= size) {
        return msfl_yaml_fail(name, node != NULL ? node : map, "%s is missing, or not a text of at most %zu bytes", key,
                              size - 1);
    }
    memcpy(out, node->text, strlen(node->text) + 1);
    return MSFL_OK;
}

static msfl_status read_config(const char *name, const msfl_yaml *map, pki_config *c) {
    static const char *const keys[] = {"format", "version",    "federation", "name",       "role",
                                       "url",    "consortium", "proxy",      "proxy_auth", NULL};
    static const char *const formats[] = {"medsecurefl-kit", NULL};
    char role[PKI_NAME_MAX + 1], consortium[2 * MSFL_SIGN_PUBLIC_BYTES + 1], host[PKI_HOST_MAX + 1];
    uint32_t number;
    msfl_status status = msfl_yaml_only(name, map, keys);
    const msfl_yaml *format = msfl_yaml_get(map, "format"), *version = msfl_yaml_get(map, "version");
    if (status == MSFL_OK && (format == NULL || version == NULL)) {
        status = msfl_yaml_fail(name, map, "this is not the configuration of a kit");
    }
    if (status == MSFL_OK) status = msfl_yaml_choice(name, format, "format", formats, &number);
    if (status == MSFL_OK) status = msfl_yaml_u32(name, version, "version", 1, 1, &number);
    if (status == MSFL_OK) status = get_text(name, map, "federation", false, c->federation, sizeof c->federation);
    if (status == MSFL_OK) status = get_text(name, map, "name", false, c->name, sizeof c->name);
    if (status == MSFL_OK) status = get_text(name, map, "role", false, role, sizeof role);
    if (status == MSFL_OK) status = pki_role_find(role, &c->role);
    if (status == MSFL_OK) status = get_text(name, map, "url", false, c->url, sizeof c->url);
    if (status == MSFL_OK) status = get_text(name, map, "consortium", false, consortium, sizeof consortium);
    if (status == MSFL_OK) status = get_text(name, map, "proxy", true, c->proxy, sizeof c->proxy);
    if (status == MSFL_OK) status = get_text(name, map, "proxy_auth", true, c->proxy_auth, sizeof c->proxy_auth);
    if (status == MSFL_OK) status = pki_name_check("federation", c->federation);
    if (status == MSFL_OK) status = pki_name_check("name", c->name);
    if (status == MSFL_OK) status = pki_url_split(c->url, host, &number);
    if (status == MSFL_OK && !pki_hex_read(consortium, c->consortium, sizeof c->consortium)) {
        status = msfl_fail(MSFL_ERR_FORMAT, "%s: consortium is 64 hexadecimal digits", name);
    }
    return status;
}

msfl_status pki_config_parse(const char *name, const char *text, size_t length, pki_config *out) {
    *out = (pki_config){0};
    msfl_yaml *root = NULL;
    msfl_status status = msfl_yaml_parse(name, text, length, &root);
    if (status == MSFL_OK) status = read_config(name, root, out);
    msfl_yaml_free(root);
    if (status != MSFL_OK) *out = (pki_config){0};
    return status;
}

void pki_federation_fingerprint(const pki_roster *roster, uint8_t out[PKI_FINGERPRINT_BYTES]) {
    msfl_hash h;
    uint8_t hash[MSFL_HASH_BYTES];
    msfl_hash_init(&h, "msfl.pki.federation.v1");
    msfl_hash_add_field(&h, roster->federation, strlen(roster->federation));
    msfl_hash_add(&h, roster->authority, sizeof roster->authority);
    msfl_hash_add(&h, roster->consortium, sizeof roster->consortium);
    msfl_hash_final(&h, hash);
    memcpy(out, hash, PKI_FINGERPRINT_BYTES);
}

/* Public parts: configuration, certificates, roster, each held against the other. */
static msfl_status load_public(const char *folder, int64_t now, pki_kit *kit) {
    char *config = NULL, *roster = NULL;
    size_t config_length, ca_length = 0, certificate_length = 0, roster_length;
    msfl_status status = pki_folder_read(folder, PKI_FILE_CONFIG, PKI_CONFIG_BYTES_MAX, &config, &config_length);
    if (status == MSFL_OK) status = pki_config_parse(PKI_FILE_CONFIG, config, config_length, &kit->config);
    if (status == MSFL_OK) status = pki_folder_read(folder, PKI_FILE_CA, PKI_PEM_BYTES_MAX, &kit->ca, &ca_length);
    if (status == MSFL_OK) status = pki_anchor_new(kit->ca, ca_length, &kit->anchor);
    if (status == MSFL_OK) {
        status = pki_folder_read(folder, PKI_FILE_CERT, PKI_PEM_BYTES_MAX, &kit->certificate, &certificate_length);
    }
    if (status == MSFL_OK) {
        status = pki_anchor_check(kit->anchor, PKI_FILE_CERT, kit->certificate, certificate_length, now, &kit->facts);
    }
    if (status == MSFL_OK) {
        status = pki_folder_read(folder, PKI_FILE_ROSTER, PKI_ROSTER_BYTES_MAX, &roster, &roster_length);
    }
    if (status == MSFL_OK) {
        status = pki_roster_parse(PKI_FILE_ROSTER, roster, roster_length, kit->config.consortium, &kit->roster);
    }
    msfl_free(config);
    msfl_free(roster);
    return status;
}

static msfl_status check_public(const pki_kit *kit) {
    const pki_roster *r = kit->roster;
    const pki_facts *f = &kit->facts;
    if (memcmp(r->authority, pki_anchor_facts(kit->anchor)->key, sizeof r->authority) != 0 ||
        strcmp(r->federation, kit->config.federation) != 0 || strcmp(f->federation, r->federation) != 0) {
        return msfl_fail(MSFL_ERR_MISMATCH, "roster, configuration and ca.pem are not of one federation");
    }
    if (strcmp(f->name, kit->config.name) != 0 || strcmp(f->role, pki_role_name(kit->config.role)) != 0) {
        return msfl_fail(MSFL_ERR_MISMATCH, "the certificate is that of '%s', the configuration that of '%s'", f->name,
                         kit->config.name);
    }
    const pki_revoked *revoked = pki_roster_revoked(r, f->serial);
    if (revoked != NULL) {
        return msfl_fail(MSFL_ERR_POLICY, "certificate-revoked: %s%s%s; ask the authority for a new one", f->name,
                         revoked->reason[0] != 0 ? ": " : "", revoked->reason);
    }
    const pki_party *p = pki_roster_find(r, f->name);
    for (uint32_t i = 0; p != NULL && i < p->n_certificates; i++)
        if (memcmp(p->certificates[i].serial, f->serial, sizeof f->serial) == 0 &&
            memcmp(p->certificates[i].key, f->key, sizeof f->key) == 0 && p->role == kit->config.role) {
            return MSFL_OK;
        }
    return msfl_fail(
        MSFL_ERR_POLICY,
        "certificate-not-in-roster: roster.yaml (epoch %u) does not have this certificate of %s; fetch the "
        "newest roster",
        r->epoch, f->name);
}

static msfl_status load_private(const char *folder, const msfl_unlock *unlock, pki_kit *kit) {
    char *key = msfl_path_join(folder, PKI_FILE_KEY), *identity = msfl_path_join(folder, PKI_FILE_IDENTITY);
    msfl_status status = key == NULL || identity == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    if (status == MSFL_OK) status = pki_secret_read(key, PKI_FILE_KEY, unlock, &kit->key, &kit->key_length);
    if (status == MSFL_OK) {
        status = pki_key_check(kit->key, kit->key_length, kit->certificate, strlen(kit->certificate));
    }
    if (status == MSFL_OK) status = pki_identity_read(identity, PKI_FILE_IDENTITY, unlock, &kit->identity);
    msfl_free(key);
    msfl_free(identity);
    if (status != MSFL_OK) return status;
    const pki_party *p = pki_roster_find(kit->roster, kit->config.name);
    if (msfl_equal(p->sign, kit->identity->sign, sizeof p->sign) &&
        msfl_equal(p->box, kit->identity->box, sizeof p->box)) {
        return MSFL_OK;
    }
    return msfl_fail(MSFL_ERR_MISMATCH, "identity.key is not the identity that the roster has of %s", p->name);
}

msfl_status pki_kit_load(const char *folder, const msfl_unlock *unlock, int64_t now, pki_kit **out) {
    *out = NULL;
    pki_kit *kit = msfl_alloc(1, sizeof *kit);
    if (kit == NULL) return MSFL_NO_MEMORY;
    msfl_status status = msfl_crypto_init();
    if (status == MSFL_OK) status = load_public(folder, now, kit);
    if (status == MSFL_OK) status = check_public(kit);
    if (status == MSFL_OK) status = load_private(folder, unlock, kit);
    if (status != MSFL_OK) {
        pki_kit_free(kit);
        return msfl_fail_in(status, "the kit %s", folder);
    }
    *out = kit;
    return MSFL_OK;
}

void pki_kit_free(pki_kit *kit) {
    if (kit == NULL) return;
    msfl_secret_free(kit->key);
    msfl_secret_free(kit->identity);
    pki_anchor_free(kit->anchor);
    msfl_free(kit->roster);
    msfl_free(kit->ca);
    msfl_free(kit->certificate);
    msfl_free(kit);
}

msfl_status pki_kit_take_roster(pki_kit *kit, const char *folder, const char *text, size_t length) {
    pki_roster *next;
    msfl_status status = pki_roster_parse("the new roster", text, length, kit->config.consortium, &next);
    if (status != MSFL_OK) return status;
    status = pki_roster_may_follow(kit->roster, next);
    if (status == MSFL_OK && next->epoch > kit->roster->epoch) {
        status = pki_folder_write(folder, PKI_FILE_ROSTER, text, length);
    }
    if (status == MSFL_OK) {
        pki_roster *old = kit->roster;
        kit->roster = next;
        next = old;
    }
    msfl_free(next);
    return status;
}
