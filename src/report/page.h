/* The page as bytes: what msfl_report_write puts into the file. */
#ifndef MSFL_REPORT_PAGE_H
#define MSFL_REPORT_PAGE_H

#include "base/bytes.h"
#include "medsecurefl/report.h"
#include "text/json.h"

/** Append the whole page to `out`. Errors as msfl_report_write; then what `out` holds is of no use. */
msfl_status msfl_page_render(const json_t *result, const msfl_report_picture *pictures, size_t n_pictures,
                             msfl_buffer *out) MSFL_NODISCARD;

#endif
