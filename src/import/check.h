/* What a check finds, as it goes along. */
#ifndef MSFL_IMPORT_CHECK_H
#define MSFL_IMPORT_CHECK_H

#include "medsecurefl/import.h"
#include "text/json.h"

typedef struct msfl_report {
    json_t *out, *findings;
    uint32_t n_problems;
    bool failed; /**< out of memory */
} msfl_report;

/** `level`: "fine", "note" or "problem", the last of which are counted. */
void msfl_report_find(msfl_report *r, const char *level, const char *fmt, ...) MSFL_PRINTF(3, 4);
/** Takes `value`. */
void msfl_report_put(msfl_report *r, const char *key, json_t *value);

/** What could name a person in the files of a folder. */
msfl_status msfl_check_files(const msfl_check_options *options, msfl_report *r) MSFL_NODISCARD;
/** Whether an imported set is whole, and fit for use. */
msfl_status msfl_check_set(const msfl_check_options *options, msfl_report *r) MSFL_NODISCARD;

#endif
