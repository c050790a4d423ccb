//! Ground: how every table on a terminal looks.

use comfy_table::{ContentArrangement, LineStyle, Table, TableStyle};

/// Three rules, no boxes: calm, and rows stay easy to cut out with other programs.
const RULES: TableStyle = TableStyle::new()
    .top_border(LineStyle::none().fill('─').junction('─'))
    .header_separator(LineStyle::none().fill('─').junction('─'))
    .bottom_border(LineStyle::none().fill('─').junction('─'));

/// An empty table that wraps its cells at `width` columns; without a width it takes what it needs.
pub fn ruled_table(width: Option<usize>) -> Table {
    let mut table = Table::new();
    table.load_style(RULES);
    match width {
        Some(width) => table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(u16::try_from(width).unwrap_or(u16::MAX)),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    table
}
