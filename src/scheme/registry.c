#include "base/error.h"
#include "scheme/table.h"

#include <stdio.h>
#include <string.h>

static const msfl_scheme *const schemes[] = {
    &msfl_scheme_packed,
    &msfl_scheme_bfv,
    &msfl_scheme_ckks,
    &msfl_scheme_paillier,
    &msfl_scheme_pairwise,
    &msfl_scheme_plain,
    NULL,
};

const msfl_scheme *const *msfl_schemes(void) {
    return schemes;
}

msfl_status msfl_scheme_find(const char *name, const msfl_scheme **out) {
    *out = NULL;
    char all[128];
    int used = 0;
    for (size_t i = 0; schemes[i] != NULL; i++) {
        if (strcmp(schemes[i]->name, name) == 0) {
            *out = schemes[i];
            return MSFL_OK;
        }
        used += snprintf(all + used, sizeof all - (size_t)used, "%s%s", i == 0 ? "" : ", ", schemes[i]->name);
    }
    return msfl_fail(MSFL_ERR_USAGE, "there is no scheme '%.40s'; there are %s", name, all);
}

const char *msfl_scheme_name(const msfl_scheme *scheme) {
    return scheme->name;
}

const char *msfl_scheme_summary(const msfl_scheme *scheme) {
    return scheme->summary;
}

const char *msfl_scheme_trust(const msfl_scheme *scheme) {
    return scheme->trust;
}

uint32_t msfl_scheme_traits(const msfl_scheme *scheme) {
    return scheme->traits;
}
