/* data check: what could name a person in files, and whether a set is whole and fit. */
#include "import/check.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "dataset/store.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void msfl_report_find(msfl_report *r, const char *level, const char *fmt, ...) {
    char text[500];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    r->n_problems += strcmp(level, "problem") == 0;
    r->failed |= json_array_append_new(r->findings,
                                       json_pack("{s:s, s:o}", "level", level, "text", msfl_json_string(text))) != 0;
}

void msfl_report_put(msfl_report *r, const char *key, json_t *value) {
    r->failed |= json_object_set_new(r->out, key, value) != 0;
}

msfl_status msfl_check(const msfl_check_options *o, char **json, uint32_t *n_problems) {
    *json = NULL;
    *n_problems = 0;
    msfl_report r = {.out = json_object(), .findings = json_array()};
    msfl_status status = r.out == NULL || r.findings == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    bool is_set = o->data != NULL && msfl_store_is_set(o->data);
    if (status == MSFL_OK && (o->data == NULL || !msfl_is_folder(o->data))) {
        status = msfl_fail(MSFL_ERR_MISSING, "%s: there is no such folder", o->data == NULL ? "" : o->data);
    }
    if (status == MSFL_OK && o->for_federation && !is_set) {
        status = msfl_fail(MSFL_ERR_USAGE,
                           "%s is no imported set; --for-federation is about sets, which 'data import' makes", o->data);
    }
    if (status == MSFL_OK) status = is_set ? msfl_check_set(o, &r) : msfl_check_files(o, &r);
    if (status == MSFL_OK) {
        msfl_report_put(&r, "findings", json_incref(r.findings));
        msfl_report_put(&r, "problems", json_integer(r.n_problems));
        if (r.failed) status = msfl_fail(MSFL_ERR_MEMORY, "out of memory");
    }
    if (status == MSFL_OK) status = msfl_json_text(r.out, false, json);
    if (status == MSFL_OK) *n_problems = r.n_problems;
    json_decref(r.findings);
    json_decref(r.out);
    return status;
}
