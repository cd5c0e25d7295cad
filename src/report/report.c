#include "medsecurefl/report.h"

#include "base/error.h"
#include "base/file.h"
#include "report/html.h"
#include "report/page.h"
#include "report/read.h"
#include "report/sections.h"

#include <locale.h>

void msfl_section_begin(msfl_page *page, const char *id, const char *heading) {
    msfl_put_text(page->out, "<section id=\"%s\" aria-labelledby=\"%s-heading\">\n<h2 id=\"%s-heading\">%s</h2>\n", id,
                  id, id, heading);
}

void msfl_section_end(msfl_page *page) {
    msfl_put_text(page->out, "</section>\n");
}

void msfl_table_begin(msfl_page *page, const char *caption, const char *style) {
    msfl_put_text(page->out,
                  "<div class=\"scroll %s-box\" tabindex=\"0\" role=\"region\" aria-label=\"%s\"><table class=\"%s\">"
                  "<caption><span class=\"cap\">%s</span></caption>\n",
                  style, caption, style, caption);
}

void msfl_table_end(msfl_page *page) {
    msfl_put_text(page->out, "</table></div>\n");
}

typedef struct section {
    const char *id, *link;
    void (*write)(msfl_page *page);
} section;

static const section sections[] = {
    {"result", "Comparison", msfl_section_comparison},
    {"confusion", "Confusion", msfl_section_confusion},
    {"rounds", "Rounds", msfl_section_rounds},
    {"data", "Hospitals", msfl_section_hospitals},
    {"examples", "Examples", msfl_section_examples},
    {"cost", "Cost", msfl_section_cost},
    {"encryption", "Encryption", msfl_section_encryption},
    {"made", "How it was made", msfl_section_provenance},
};
enum { N_SECTIONS = sizeof sections / sizeof sections[0] };

/* Masks are not mistaken for one another as wholes. */
static bool applies(const section *s, const json_t *result) {
    return s->write != msfl_section_confusion || !msfl_is_segmentation(result);
}

void msfl_put_head(msfl_page *page, const char *name, const char *what) {
    /* The policy forbids every request and script, so that a mistake in escaping would still reach nobody. */
    msfl_put_text(page->out,
                  "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                  "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src "
                  "'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n"
                  "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                  "<meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"referrer\" "
                  "content=\"no-referrer\">\n<title>MedSecureFL: ");
    msfl_html_text_max(page->out, name, 60);
    msfl_put_text(page->out, ", %s</title>\n<style>\n", what);
    msfl_put_bytes(page->out, msfl_style_sheet, strlen(msfl_style_sheet));
    msfl_put_text(page->out, "</style>\n</head>\n");
}

msfl_status msfl_page_render(const json_t *result, const msfl_report_picture *pictures, size_t n_pictures,
                             msfl_buffer *out) {
    /* Numbers in SVG and CSS have a point, whatever the program that uses this library has set. */
    locale_t plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    if (plain == (locale_t)0) return msfl_fail(MSFL_ERR_SYSTEM, "report: the C locale is not there");
    locale_t before = uselocale(plain);
    msfl_page page = {out, result, pictures, n_pictures, 0};
    const char *model = msfl_string_at(result, "model.name");
    msfl_put_head(&page, model != NULL ? model : "a run", "report");
    msfl_put_text(out, "<body>\n<header>\n<p class=\"kind\">MedSecureFL report");
    const char *created = msfl_string_at(result, "created");
    if (created != NULL) {
        msfl_put_text(out, " · ");
        msfl_html_text_max(out, created, 40);
    }
    msfl_put_text(out, "</p>\n");
    msfl_section_headline(&page);
    msfl_put_text(out, "</header>\n<nav aria-label=\"Sections\"><ul>");
    for (int k = 0; k < N_SECTIONS; k++) {
        if (!applies(&sections[k], result)) continue;
        msfl_put_text(out, "<li><a href=\"#%s\">%s</a></li>", sections[k].id, sections[k].link);
    }
    msfl_put_text(out, "</ul></nav>\n<main>\n");
    for (int k = 0; k < N_SECTIONS && out->status == MSFL_OK; k++) {
        if (applies(&sections[k], result)) sections[k].write(&page);
    }
    msfl_put_text(out, "</main>\n<footer><p>Made by MedSecureFL ");
    const char *version = msfl_string_at(result, "version");
    msfl_html_text_max(out, version != NULL ? version : msfl_version(), 40);
    msfl_put_text(out, ". The page is complete in itself: it loads nothing and runs no script.</p></footer>\n</body>\n"
                       "</html>\n");
    uselocale(before);
    freelocale(plain);
    if (out->status == MSFL_OK && out->length > MSFL_REPORT_PAGE_BYTES_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "report: the page would have %zu bytes; at most %d are written", out->length,
                         MSFL_REPORT_PAGE_BYTES_MAX);
    }
    return out->status;
}

msfl_status msfl_report_write(const char *path, const char *result_text, size_t length,
                              const msfl_report_picture *pictures, size_t n_pictures) {
    json_t *result = NULL;
    msfl_buffer out = {0};
    msfl_status status =
        msfl_json_parse("result for the report", result_text, length, MSFL_REPORT_RESULT_BYTES_MAX, &result);
    if (status != MSFL_OK) goto done;
    if (!json_is_object(result)) {
        status = msfl_fail(MSFL_ERR_FORMAT, "result for the report: not a JSON object");
        goto done;
    }
    status = msfl_page_render(result, pictures, n_pictures, &out);
    if (status != MSFL_OK) goto done;
    status = msfl_file_write(path, out.bytes, out.length);
done:
    msfl_buffer_clear(&out);
    json_decref(result);
    return status;
}
