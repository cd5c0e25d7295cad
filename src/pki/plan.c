#include "pki/plan.h"

#include "base/error.h"
#include "base/mem.h"
#include "pki/committee.h"
#include "text/yaml.h"

static msfl_status get_name(const char *name, const msfl_yaml *map, const char *key, char out[PKI_NAME_MAX + 1]) {
    const msfl_yaml *node = msfl_yaml_get(map, key);
    if (node == NULL || node->kind != MSFL_YAML_SCALAR) {
        return msfl_yaml_fail(name, node != NULL ? node : map, "%s is missing, or not a text", key);
    }
    if (pki_name_check(key, node->text) != MSFL_OK) return msfl_yaml_fail(name, node, "%s", msfl_error_message());
    memcpy(out, node->text, strlen(node->text) + 1);
    return MSFL_OK;
}

static msfl_status get_keys(const char *name, const msfl_yaml *map, bool *on_site) {
    static const char *const places[] = {"here", "on-site", NULL};
    const msfl_yaml *node = msfl_yaml_get(map, "keys");
    uint32_t place = 0;
    msfl_status status = node == NULL ? MSFL_OK : msfl_yaml_choice(name, node, "keys", places, &place);
    *on_site = place == 1;
    return status;
}

static msfl_status add_party(const char *name, const msfl_yaml *map, pki_role role, pki_plan *plan) {
    static const char *const few[] = {"name", "keys", NULL}, *const all[] = {"name", "keys", "url", "hosts", NULL};
    if (plan->n_parties == PKI_PARTIES_MAX) {
        return msfl_yaml_fail(name, map, "a federation has at most %d parties", PKI_PARTIES_MAX);
    }
    pki_plan_party *p = &plan->parties[plan->n_parties];
    p->role = role;
    msfl_status status = msfl_yaml_only(name, map, role == PKI_COORDINATOR ? all : few);
    if (status == MSFL_OK) status = get_name(name, map, "name", p->name);
    if (status == MSFL_OK) status = get_keys(name, map, &p->on_site);
    for (uint32_t i = 0; status == MSFL_OK && i < plan->n_parties; i++)
        if (strcmp(plan->parties[i].name, p->name) == 0) {
            status = msfl_yaml_fail(name, map, "there is a '%s' already", p->name);
        }
    if (status == MSFL_OK && strcmp(p->name, "ca") == 0) {
        status = msfl_yaml_fail(name, map, "'ca' is the folder of the authority and no party's name");
    }
    plan->n_parties += status == MSFL_OK;
    return status;
}

static msfl_status get_coordinator(const char *name, const msfl_yaml *map, pki_plan *plan) {
    uint32_t port;
    msfl_status status = add_party(name, map, PKI_COORDINATOR, plan);
    if (status != MSFL_OK) return status;
    const msfl_yaml *url = msfl_yaml_get(map, "url"), *hosts = msfl_yaml_get(map, "hosts");
    if (url == NULL || url->kind != MSFL_YAML_SCALAR || strlen(url->text) >= sizeof plan->url) {
        return msfl_yaml_fail(name, map, "the coordinator's url is missing: https://host:port");
    }
    if (pki_url_split(url->text, plan->hosts[0], &port) != MSFL_OK) {
        return msfl_yaml_fail(name, url, "%s", msfl_error_message());
    }
    memcpy(plan->url, url->text, strlen(url->text) + 1);
    plan->n_hosts = 1;
    if (hosts == NULL) return MSFL_OK;
    if (hosts->kind != MSFL_YAML_SEQUENCE || hosts->n > PKI_HOSTS_MAX - 1) {
        return msfl_yaml_fail(name, hosts, "hosts is a list of at most %d further names", PKI_HOSTS_MAX - 1);
    }
    for (const msfl_yaml *h = hosts->first; h != NULL; h = h->next) {
        if (h->kind != MSFL_YAML_SCALAR || pki_host_check(h->text) != MSFL_OK) {
            return msfl_yaml_fail(name, h, "a host is a DNS name or a numerical address");
        }
        memcpy(plan->hosts[plan->n_hosts++], h->text, strlen(h->text) + 1);
    }
    return MSFL_OK;
}

/* Names of the committee are those of hospitals, or of the authority. */
static msfl_status get_members(const char *name, const msfl_yaml *list, pki_plan *plan) {
    if (list->kind != MSFL_YAML_SEQUENCE || list->n < 2 || list->n > MSFL_COMMITTEE_MAX) {
        return msfl_yaml_fail(name, list, "members is a list of 2 to %d names", MSFL_COMMITTEE_MAX);
    }
    for (const msfl_yaml *at = list->first; at != NULL; at = at->next) {
        const pki_plan_party *p = NULL;
        for (uint32_t i = 0; at->kind == MSFL_YAML_SCALAR && i < plan->n_parties; i++)
            if (strcmp(plan->parties[i].name, at->text) == 0) p = &plan->parties[i];
        if (p == NULL || (p->role != PKI_HOSPITAL && p->role != PKI_AUTHORITY)) {
            return msfl_yaml_fail(name, at, "a member of the committee is a hospital or the authority of this plan");
        }
        for (uint32_t i = 0; i < plan->n_members; i++)
            if (strcmp(plan->members[i], p->name) == 0) {
                return msfl_yaml_fail(name, at, "'%s' is a member of the committee already", p->name);
            }
        memcpy(plan->members[plan->n_members++], p->name, sizeof p->name);
    }
    return MSFL_OK;
}

static msfl_status get_committee(const char *name, const msfl_yaml *map, pki_plan *plan) {
    static const char *const keys[] = {"custody", "members", "threshold", "corrupt", NULL};
    static const char *const custodies[] = {"committee", "authority", "coordinator", NULL};
    msfl_status status = msfl_yaml_only(name, map, keys);
    if (status != MSFL_OK) return status;
    const msfl_yaml *custody = msfl_yaml_get(map, "custody"), *members = msfl_yaml_get(map, "members"),
                    *threshold = msfl_yaml_get(map, "threshold"), *corrupt = msfl_yaml_get(map, "corrupt");
    uint32_t which = 0;
    if (custody != NULL) status = msfl_yaml_choice(name, custody, "custody", custodies, &which);
    if (status != MSFL_OK) return status;
    plan->custody = (msfl_custody)(MSFL_CUSTODY_COMMITTEE + which);
    bool has_authority = false;
    for (uint32_t i = 0; i < plan->n_parties; i++)
        has_authority |= plan->parties[i].role == PKI_AUTHORITY;
    if (plan->custody != MSFL_CUSTODY_COMMITTEE && (members != NULL || threshold != NULL || corrupt != NULL)) {
        return msfl_yaml_fail(name, map, "with custody %s one party holds the keys: no members, threshold or corrupt",
                              custodies[which]);
    }
    if (plan->custody == MSFL_CUSTODY_AUTHORITY && !has_authority) {
        return msfl_yaml_fail(name, map, "custody authority needs the section 'authority' with its name");
    }
    if (members != NULL) status = get_members(name, members, plan);
    if (status == MSFL_OK && threshold != NULL) {
        status = msfl_yaml_u32(name, threshold, "threshold", 2, MSFL_COMMITTEE_MAX, &plan->threshold);
    }
    if (status == MSFL_OK && corrupt != NULL) {
        status = msfl_yaml_u32(name, corrupt, "corrupt", 0, MSFL_COMMITTEE_MAX - 1, &plan->corrupt);
    }
    return status;
}

/* What can be seen from the plan alone is refused with its line; the rest when somebody is admitted. */
static msfl_status check_committee(const char *name, const msfl_yaml *at, const pki_plan *plan) {
    pki_committee c;
    if (pki_committee_plan(plan, plan->n_hospitals, &c) != MSFL_OK) {
        return msfl_yaml_fail(name, at, "%s", msfl_error_message());
    }
    return MSFL_OK;
}

static msfl_status get_operators(const char *name, const msfl_yaml *list, pki_plan *plan) {
    if (list->kind != MSFL_YAML_SEQUENCE) return msfl_yaml_fail(name, list, "operators is a list");
    msfl_status status = MSFL_OK;
    for (const msfl_yaml *at = list->first; status == MSFL_OK && at != NULL; at = at->next)
        status = add_party(name, at, PKI_OPERATOR, plan);
    return status;
}

static msfl_status get_plan(const char *name, const msfl_yaml *root, pki_plan *plan) {
    static const char *const keys[] = {"federation", "valid_days", "coordinator", "hospitals",
                                       "authority",  "operators",  "committee",   NULL};
    msfl_status status = msfl_yaml_only(name, root, keys);
    if (status == MSFL_OK) status = get_name(name, root, "federation", plan->federation);
    const msfl_yaml *days = msfl_yaml_get(root, "valid_days"), *coordinator = msfl_yaml_get(root, "coordinator"),
                    *hospitals = msfl_yaml_get(root, "hospitals"), *authority = msfl_yaml_get(root, "authority");
    const msfl_yaml *operators = msfl_yaml_get(root, "operators"), *committee = msfl_yaml_get(root, "committee");
    plan->valid_days = PKI_DAYS_DEFAULT;
    plan->corrupt = UINT32_MAX;
    if (status == MSFL_OK && days != NULL) {
        status = msfl_yaml_u32(name, days, "valid_days", 1, PKI_DAYS_MAX, &plan->valid_days);
    }
    if (status == MSFL_OK && coordinator == NULL) status = msfl_yaml_fail(name, root, "coordinator is missing");
    if (status == MSFL_OK) status = get_coordinator(name, coordinator, plan);
    if (status == MSFL_OK && (hospitals == NULL || hospitals->kind != MSFL_YAML_SEQUENCE)) {
        status = msfl_yaml_fail(name, hospitals != NULL ? hospitals : root, "hospitals is a list");
    }
    const msfl_yaml *at = status == MSFL_OK && hospitals != NULL ? hospitals->first : NULL;
    for (; status == MSFL_OK && at != NULL; at = at->next)
        status = add_party(name, at, PKI_HOSPITAL, plan);
    plan->n_hospitals = plan->n_parties - (plan->n_parties > 0);
    if (status == MSFL_OK && authority != NULL) status = add_party(name, authority, PKI_AUTHORITY, plan);
    if (status == MSFL_OK && operators != NULL) status = get_operators(name, operators, plan);
    if (status == MSFL_OK && committee != NULL) status = get_committee(name, committee, plan);
    if (status == MSFL_OK) status = check_committee(name, committee != NULL ? committee : root, plan);
    return status;
}

msfl_status pki_plan_parse(const char *name, const char *text, size_t length, pki_plan **out) {
    *out = NULL;
    msfl_yaml *root = NULL;
    pki_plan *plan = msfl_alloc(1, sizeof *plan);
    msfl_status status = plan == NULL ? MSFL_NO_MEMORY : msfl_yaml_parse(name, text, length, &root);
    if (status == MSFL_OK) status = get_plan(name, root, plan);
    msfl_yaml_free(root);
    if (status != MSFL_OK) {
        msfl_free(plan);
        return status;
    }
    *out = plan;
    return MSFL_OK;
}
