/* A contact sheet. */
#include "base/error.h"
#include "base/file.h"
#include "report/html.h"
#include "report/png.h"
#include "report/sections.h"

static msfl_status put(msfl_buffer *out, const msfl_report_picture *p) {
    uint32_t width, height;
    msfl_buffer uri = {0};
    msfl_status status = msfl_png_data_uri(p, 320, &uri, &width, &height);
    if (status == MSFL_OK) {
        msfl_put_text(out, "<td><img src=\"");
        msfl_put_bytes(out, uri.bytes, uri.length);
        msfl_put_text(out, "\" width=\"%u\" height=\"%u\" alt=\"\">", width, height);
        msfl_html_text_max(out, p->name == NULL ? "" : p->name, 60);
        msfl_put_text(out, "</td>\n");
    }
    msfl_buffer_clear(&uri);
    return status;
}

msfl_status msfl_sheet_write(const char *path, const char *title, const char *note, const msfl_report_picture *pictures,
                             size_t n_pictures, uint32_t columns) {
    if (n_pictures > MSFL_SHEET_PICTURES_MAX || columns < 1 || columns > MSFL_SHEET_COLUMNS_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT,
                         "a sheet of %zu pictures in rows of %u; at most %d in rows of 1 to %d are possible",
                         n_pictures, columns, MSFL_SHEET_PICTURES_MAX, MSFL_SHEET_COLUMNS_MAX);
    }
    msfl_buffer out = {0};
    msfl_status status = MSFL_OK;
    msfl_page page = {.out = &out};
    msfl_put_head(&page, title, "contact sheet");
    msfl_put_text(&out, "<body>\n<header>\n<p class=\"kind\">MedSecureFL contact sheet</p>\n<h1>");
    msfl_html_text_max(&out, title, 100);
    msfl_put_text(&out, "</h1>\n<p class=\"lede\">");
    msfl_html_text_max(&out, note, 1000);
    msfl_put_text(&out, "</p>\n</header>\n<main>\n<p class=\"verdict warn\"><strong>This page holds images.</strong> "
                        "Unless they are public, it must not leave the hospital they come from.</p>\n"
                        "<div class=\"scroll\"><table class=\"sheet\">\n");
    for (size_t i = 0; i < n_pictures && status == MSFL_OK; i++) {
        if (i % columns == 0) msfl_put_text(&out, "%s<tr>\n", i > 0 ? "</tr>\n" : "");
        status = put(&out, &pictures[i]);
    }
    msfl_put_text(&out,
                  "%s</table></div>\n</main>\n<footer><p>Made by MedSecureFL %s. The page is complete in itself: it "
                  "loads nothing and runs no script.</p></footer>\n</body>\n</html>\n",
                  n_pictures > 0 ? "</tr>\n" : "", msfl_version());
    if (status == MSFL_OK) status = out.status;
    if (status == MSFL_OK && out.length > MSFL_REPORT_PAGE_BYTES_MAX) {
        status = msfl_fail(MSFL_ERR_LIMIT, "%s: the sheet would have %zu bytes; at most %d are written", path,
                           out.length, MSFL_REPORT_PAGE_BYTES_MAX);
    }
    if (status == MSFL_OK) status = msfl_file_write(path, out.bytes, out.length);
    msfl_buffer_clear(&out);
    return status;
}
