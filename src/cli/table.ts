/** Rows as aligned text columns, for people; long cells are cut at `maxWidth`. */
export function formatTable(columns: readonly string[], rows: readonly (readonly unknown[])[], maxWidth = 60): string {
  const cells = [columns, ...rows].map((row) => row.map((value) => cell(value, maxWidth)));
  const widths = columns.map((_, i) => Math.max(...cells.map((row) => row[i]?.length ?? 0)));
  const lines = cells.map((row) =>
    row
      .map((text, i) => text.padEnd(widths[i] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  lines.splice(1, 0, widths.map((width) => "-".repeat(width)).join("  "));
  return lines.join("\n");
}

function cell(value: unknown, maxWidth: number): string {
  const text =
    value === null || value === undefined ? "" : typeof value === "object" ? JSON.stringify(value) : String(value);
  const line = text.replaceAll(/\s+/g, " ");
  return line.length > maxWidth ? `${line.slice(0, maxWidth - 1)}…` : line;
}
