/**
 * Life of a progress line: start a phase → advance → end. On a terminal it rewrites itself,
 * elsewhere it adds a line now and then.
 */
import type { WriteStream } from "node:tty";

const barWidth = 24;
const terminalPauseMs = 80;
const plainPauseMs = 2_000;
const eraseLine = "\r\u001b[2K";

export class Progress {
  private readonly label: string;
  private readonly stream: WriteStream;
  private phase = "";
  private done = 0;
  private total = 0;
  private shownAtMs = performance.now();

  constructor(label: string, stream: WriteStream) {
    this.label = label;
    this.stream = stream;
  }

  start(phase: string, total: number): void {
    this.phase = phase;
    this.total = total;
    this.done = 0;
    if (this.stream.isTTY) this.show();
  }

  advance(amount: number): void {
    this.done += amount;
    const pauseMs = this.stream.isTTY ? terminalPauseMs : plainPauseMs;
    if (performance.now() - this.shownAtMs >= pauseMs) this.show();
  }

  end(): void {
    if (this.stream.isTTY) this.stream.write(eraseLine);
  }

  private show(): void {
    this.shownAtMs = performance.now();
    const share = this.total === 0 ? 1 : this.done / this.total;
    const percent = `${Math.floor(share * 100)} %`.padStart(5);
    if (!this.stream.isTTY) {
      this.stream.write(`${this.label}: ${this.phase}${percent}\n`);
      return;
    }
    const filled = Math.round(share * barWidth);
    const bar = "█".repeat(filled) + "░".repeat(barWidth - filled);
    this.stream.write(`${eraseLine}${this.label}  ${bar}${percent}  ${this.phase}`);
  }
}
