/* What a site does itself: making its keys, asking, looking at its kit. */
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "pki/authority.h"
#include "pki/keys.h"
#include "pki/round.h"
#include "text/yaml.h"

#include <time.h>

/* The request of keys that are here, in a file. */
static msfl_status write_request(const pki_keys *keys, const char *federation, const char *name, pki_role role,
                                 const char *folder, uint8_t fingerprint[MSFL_PROVISION_FINGERPRINT_BYTES]) {
    char *file = msfl_format("%s.request", name);
    pki_request *request = msfl_alloc(1, sizeof *request);
    msfl_buffer text = {0};
    msfl_status status = file == NULL || request == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    if (status == MSFL_OK) status = pki_keys_request(keys, federation, name, role, &text, request);
    if (status == MSFL_OK) status = pki_folder_write(folder, file, text.bytes, text.length);
    if (status == MSFL_OK) memcpy(fingerprint, request->fingerprint, MSFL_PROVISION_FINGERPRINT_BYTES);
    msfl_buffer_clear(&text);
    msfl_free(request);
    msfl_free(file);
    return status;
}

msfl_status msfl_provision_request(const char *federation, const char *name, const char *role, const char *folder,
                                   const msfl_unlock *unlock, uint8_t fingerprint[MSFL_PROVISION_FINGERPRINT_BYTES]) {
    pki_role r = PKI_HOSPITAL;
    pki_keys keys = {0};
    pki_sealer *sealer = NULL;
    memset(fingerprint, 0, MSFL_PROVISION_FINGERPRINT_BYTES);
    msfl_status status = msfl_crypto_init();
    if (status == MSFL_OK) status = pki_name_check("the federation", federation);
    if (status == MSFL_OK) status = pki_name_check("the party", name);
    if (status == MSFL_OK) status = pki_role_find(role, &r);
    if (status == MSFL_OK) status = msfl_folder_make(folder);
    if (status == MSFL_OK) status = pki_sealer_new(unlock, &sealer);
    if (status == MSFL_OK) status = pki_keys_new(&keys);
    if (status == MSFL_OK) status = pki_keys_write(&keys, folder, sealer);
    if (status == MSFL_OK) status = write_request(&keys, federation, name, r, folder, fingerprint);
    pki_keys_clear(&keys);
    pki_sealer_free(sealer);
    return status;
}

msfl_status msfl_provision_request_renewal(const char *kit, const char *folder, bool same_key,
                                           const msfl_unlock *unlock,
                                           uint8_t fingerprint[MSFL_PROVISION_FINGERPRINT_BYTES]) {
    pki_keys keys = {0};
    pki_sealer *sealer = NULL;
    memset(fingerprint, 0, MSFL_PROVISION_FINGERPRINT_BYTES);
    pki_config *config = msfl_alloc(1, sizeof *config);
    if (config == NULL) return MSFL_NO_MEMORY;
    msfl_status status = pki_keys_of(kit, unlock, same_key ? PKI_KEEP_BOTH : PKI_KEEP_IDENTITY, &keys, config);
    if (status == MSFL_OK) status = msfl_folder_make(folder);
    if (status == MSFL_OK) status = pki_sealer_new(unlock, &sealer);
    if (status == MSFL_OK) status = pki_keys_write(&keys, folder, sealer);
    if (status == MSFL_OK) {
        status = write_request(&keys, config->federation, config->name, config->role, folder, fingerprint);
    }
    pki_keys_clear(&keys);
    pki_sealer_free(sealer);
    msfl_free(config);
    return status;
}

msfl_status msfl_provision_request_read(const char *path, char name[MSFL_PROVISION_NAME_MAX + 1],
                                        uint8_t fingerprint[MSFL_PROVISION_FINGERPRINT_BYTES]) {
    uint8_t *text = NULL;
    size_t length;
    memset(fingerprint, 0, MSFL_PROVISION_FINGERPRINT_BYTES);
    name[0] = 0;
    pki_request *request = msfl_alloc(1, sizeof *request);
    msfl_status status = request == NULL ? MSFL_NO_MEMORY : msfl_crypto_init();
    if (status == MSFL_OK) status = msfl_file_read(path, PKI_REQUEST_BYTES_MAX, &text, &length);
    if (status == MSFL_OK) status = pki_request_parse(path, (const char *)text, length, request);
    if (status == MSFL_OK) {
        memcpy(name, request->name, sizeof request->name);
        memcpy(fingerprint, request->fingerprint, MSFL_PROVISION_FINGERPRINT_BYTES);
    }
    msfl_free(text);
    msfl_free(request);
    return status;
}

void pki_roster_facts(const pki_roster *r, msfl_provision_result *out) {
    *out = (msfl_provision_result){.epoch = r->epoch,
                                   .n_parties = r->n_parties,
                                   .custody = r->n_members > 0 ? r->custody : (msfl_custody)0,
                                   .n_hospitals = pki_round_hospitals(r),
                                   .members = r->n_members,
                                   .threshold = r->threshold,
                                   .corrupt = r->corrupt,
                                   .n_awaited = r->n_awaited};
    memcpy(out->federation, r->federation, sizeof out->federation);
    pki_federation_fingerprint(r, out->fingerprint);
}

msfl_status msfl_provision_check(const char *folder, const msfl_unlock *unlock, int64_t now,
                                 char name[MSFL_PROVISION_NAME_MAX + 1], int64_t *not_after,
                                 msfl_provision_result *result) {
    *result = (msfl_provision_result){0};
    name[0] = 0;
    *not_after = 0;
    pki_kit *kit;
    msfl_status status = pki_kit_load(folder, unlock, now != 0 ? now : (int64_t)time(NULL), &kit);
    if (status != MSFL_OK) return status;
    memcpy(name, kit->config.name, sizeof kit->config.name);
    *not_after = kit->facts.not_after;
    pki_roster_facts(kit->roster, result);
    pki_kit_free(kit);
    return MSFL_OK;
}

/* The consortium's public key as the roster of this folder names it. A kit pins it in its configuration; beside an
 * authority's own roster there is no better source than that roster. */
static msfl_status consortium_of(const char *folder, const char *text, size_t length, uint8_t out[32]) {
    char *config;
    size_t config_length;
    if (pki_folder_read(folder, PKI_FILE_CONFIG, PKI_CONFIG_BYTES_MAX, &config, &config_length) == MSFL_OK) {
        pki_config *c = msfl_alloc(1, sizeof *c);
        msfl_status status = c == NULL ? MSFL_NO_MEMORY : pki_config_parse(PKI_FILE_CONFIG, config, config_length, c);
        if (status == MSFL_OK) memcpy(out, c->consortium, sizeof c->consortium);
        msfl_free(c);
        msfl_free(config);
        return status;
    }
    msfl_yaml *root;
    msfl_status status =
        msfl_yaml_parse_within(PKI_FILE_ROSTER, text, length, PKI_ROSTER_BYTES_MAX, PKI_ROSTER_NODES_MAX, &root);
    if (status != MSFL_OK) return status;
    const msfl_yaml *key = msfl_yaml_get(root, "consortium");
    if (key == NULL || key->kind != MSFL_YAML_SCALAR || !pki_hex_read(key->text, out, 32)) {
        status = msfl_fail(MSFL_ERR_FORMAT, "%s/%s is not a roster", folder, PKI_FILE_ROSTER);
    }
    msfl_yaml_free(root);
    return status;
}

msfl_status msfl_provision_list(const char *folder, msfl_provision_result *result, msfl_provision_party **parties,
                                uint32_t *n) {
    *result = (msfl_provision_result){0};
    *parties = NULL;
    *n = 0;
    char *text;
    size_t length;
    uint8_t consortium[32];
    pki_roster *roster = NULL;
    msfl_status status = msfl_crypto_init();
    if (status == MSFL_OK) status = pki_folder_read(folder, PKI_FILE_ROSTER, PKI_ROSTER_BYTES_MAX, &text, &length);
    if (status != MSFL_OK) return status;
    status = consortium_of(folder, text, length, consortium);
    if (status == MSFL_OK) status = pki_roster_parse(PKI_FILE_ROSTER, text, length, consortium, &roster);
    msfl_provision_party *list = NULL;
    if (status == MSFL_OK) {
        list = msfl_alloc((size_t)roster->n_parties + roster->n_awaited, sizeof *list);
        if (list == NULL) status = MSFL_NO_MEMORY;
    }
    for (uint32_t i = 0; status == MSFL_OK && i < roster->n_parties; i++) {
        const pki_party *p = &roster->parties[i];
        memcpy(list[i].name, p->name, sizeof p->name);
        list[i].role = pki_role_name(p->role);
        list[i].n_certificates = p->n_certificates;
        list[i].not_after = p->n_certificates > 0 ? p->certificates[0].not_after : 0;
    }
    for (uint32_t i = 0; status == MSFL_OK && i < roster->n_awaited; i++) {
        msfl_provision_party *p = &list[roster->n_parties + i];
        memcpy(p->name, roster->awaited[i], sizeof p->name);
        p->role = "awaited";
        p->is_awaited = true;
    }
    if (status == MSFL_OK) {
        pki_roster_facts(roster, result);
        *parties = list;
        *n = roster->n_parties + roster->n_awaited;
    }
    msfl_free(roster);
    msfl_free(text);
    return status;
}

void msfl_provision_parties_free(msfl_provision_party *parties) {
    msfl_free(parties);
}
