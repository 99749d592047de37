// Numbers as people say them; the same as the terminal's and the report's.

export function seconds(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (value === 0) return "0 s";
  const [scaled, unit] = value < 1e-3 ? [value * 1e6, "µs"] : value < 1 ? [value * 1e3, "ms"] : [value, "s"];
  return `${digits(scaled)} ${unit}`;
}

export function count(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  return Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, ",");
}

export function rate(value: number | null | undefined): string {
  return value === null || value === undefined ? "–" : `${count(value)}/s`;
}

// "64k" for an axis.
export function short(value: number): string {
  if (Math.abs(value) >= 1e6) return `${digits(value / 1e6)}M`;
  if (Math.abs(value) >= 1e4) return `${digits(value / 1e3)}k`;
  return digits(value);
}

// "75 s", "12:05", "1:02:03".
export function clock(at_s: number): string {
  const whole = Math.floor(at_s + 1e-9);
  if (whole < 100) return `${Math.round(at_s * 10) / 10} s`;
  const two = (n: number) => n.toString().padStart(2, "0");
  const hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

function digits(value: number): string {
  const places = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return Number(value.toFixed(places)).toString();
}
