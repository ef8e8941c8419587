"use strict";
// Tables that search, filter, sort and page through rows kept as columns; text only, never HTML.
(() => {
  const PAGE = 50;
  const data = JSON.parse(document.getElementById("data").textContent);
  const J = data.journeys;

  const make = (tag, text, attributes = {}) => {
    const element = document.createElement(tag);
    if (text !== null && text !== undefined) element.textContent = text;
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  };
  const append = (parent, ...children) => { parent.append(...children); return parent; };

  const three = (value) => value >= 100 ? value.toFixed(0)
    : String(Number(value.toFixed(value >= 10 ? 1 : 2)));
  const duration = (ns) => {
    if (ns === null || ns === undefined) return "–";
    const sign = ns < 0 ? "−" : "", size = Math.abs(ns);
    for (const [unit, factor] of [["s", 1e9], ["ms", 1e6], ["µs", 1e3]])
      if (size >= factor) return `${sign}${three(size / factor)} ${unit}`;
    return `${sign}${size} ns`;
  };
  const clock = (ns) => {
    const day = new Date(Number(ns / 1000000n)).toISOString();
    return `${day.slice(11, 19)}.${String((ns / 1000n) % 1000000n).padStart(6, "0")}`;
  };
  const count = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, "\u202f");
  const base = BigInt(J.base_ns);
  const began = (row) => J.begin[row] === null ? "unknown" : clock(base + BigInt(J.begin[row]));

  // -- one table -----------------------------------------------------------------------------
  class Grid {
    constructor(root, options) {
      Object.assign(this, { root, page: 0, order: null, descending: false }, options);
      this.open = new Set();
      this.chosen = this.rows;
      this.build();
      this.select();
    }

    build() {
      const controls = make("div", null, { class: "controls", role: "search", "aria-label": this.name });
      this.input = make("input", null, { type: "search", placeholder: this.hint, autocomplete: "off", spellcheck: "false" });
      controls.append(append(make("label", "Search"), this.input));
      let timer = 0;
      this.input.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(() => this.select(), 120); });
      this.filters.forEach((filter) => {
        filter.control = append(make("select"), make("option", "all", { value: "" }),
          ...filter.values.map((value) => make("option", value, { value })));
        filter.control.addEventListener("change", () => this.select());
        controls.append(append(make("label", filter.title), filter.control));
      });
      const clear = make("button", "Clear", { type: "button" });
      clear.addEventListener("click", () => this.clear());
      controls.append(clear);
      this.status = make("p", "", { role: "status", class: "note" });
      const table = make("table");
      table.append(make("caption", this.name), append(make("thead"), this.header()), make("tbody"));
      this.body = table.tBodies[0];
      const scroll = append(make("div", null, { class: "scroll", tabindex: "0", role: "group", "aria-label": this.name }), table);
      this.root.append(controls, this.status, scroll, this.pager());
    }

    header() {
      const row = make("tr");
      this.columns.forEach((column) => {
        column.head = make("th", null, { scope: "col" });
        if (column.numeric) column.head.className = "n";
        const button = make("button", column.title, { type: "button" });
        button.addEventListener("click", () => this.sortBy(column));
        column.head.append(button);
        row.append(column.head);
      });
      return row;
    }

    pager() {
      const bar = make("div", null, { class: "pager", role: "group", "aria-label": `Pages of ${this.name}` });
      const button = (text, step) => {
        const made = make("button", text, { type: "button" });
        made.addEventListener("click", () => { this.page = step(this.page); this.draw(); });
        bar.append(made);
        return made;
      };
      this.buttons = [button("First", () => 0), button("Previous", (at) => at - 1)];
      this.where = append(bar, make("span")).lastChild;
      this.buttons.push(button("Next", (at) => at + 1), button("Last", () => this.pages - 1));
      return bar;
    }

    get pages() { return Math.max(1, Math.ceil(this.chosen.length / PAGE)); }

    clear() {
      this.input.value = "";
      this.filters.forEach((filter) => { filter.control.value = ""; });
      this.select();
    }

    select() {
      const words = this.input.value.toLowerCase().split(/\s+/).filter(Boolean);
      const active = this.filters.filter((filter) => filter.control.value);
      this.chosen = this.rows.filter((row) =>
        active.every((filter) => filter.of(row) === filter.control.value) &&
        (!words.length || words.every((word) => this.matches(row, word))));
      this.sort();
    }

    sortBy(column) {
      this.descending = this.order === column ? !this.descending : Boolean(column.numeric && column !== this.columns[0]);
      this.order = column;
      this.columns.forEach((each) => each.head.removeAttribute("aria-sort"));
      column.head.setAttribute("aria-sort", this.descending ? "descending" : "ascending");
      this.sort();
    }

    sort() {
      if (this.order) {
        const value = this.order.value, sign = this.descending ? -1 : 1;
        const keys = new Map(this.chosen.map((row) => [row, value(row)]));
        this.chosen.sort((one, other) => {
          const a = keys.get(one), b = keys.get(other);
          if (a === b) return one - other;
          if (a === null) return 1;
          if (b === null) return -1;
          return a < b ? -sign : sign;
        });
      }
      this.page = 0;
      this.draw();
    }

    draw() {
      const start = this.page * PAGE, rows = this.chosen.slice(start, start + PAGE);
      this.body.replaceChildren();
      rows.forEach((row) => this.drawRow(row));
      const total = this.chosen.length, of = total === this.rows.length ? "" : ` (of ${count(this.rows.length)})`;
      this.status.textContent = total ? `${count(start + 1)} to ${count(start + rows.length)} of ${count(total)}${of}` : `none of ${count(this.rows.length)} matches`;
      this.where.textContent = `page ${count(this.page + 1)} of ${count(this.pages)}`;
      this.buttons.forEach((button, at) => { button.disabled = at < 2 ? this.page === 0 : this.page >= this.pages - 1; });
    }

    drawRow(row) {
      const line = make("tr", null, { id: this.id(row) });
      this.columns.forEach((column, at) => {
        const cell = make(at ? "td" : "th", null, at ? {} : { scope: "row" });
        if (column.numeric) cell.className = "n";
        if (at === 0) cell.append(this.opener(row, line, column));
        else append(cell, column.show(row));
        line.append(cell);
      });
      this.body.append(line);
      if (this.open.has(row)) this.unfold(row, line);
    }

    opener(row, line, column) {
      const button = make("button", column.show(row), {
        type: "button", class: "open", "aria-expanded": String(this.open.has(row)), "aria-controls": `${this.id(row)}-detail`,
      });
      button.addEventListener("click", () => {
        const opens = !this.open.has(row);
        button.setAttribute("aria-expanded", String(opens));
        if (opens) { this.open.add(row); this.unfold(row, line); }
        else { this.open.delete(row); line.nextElementSibling.remove(); }
      });
      return button;
    }

    unfold(row, line) {
      const detail = make("tr", null, { class: "detail", id: `${this.id(row)}-detail` });
      detail.append(append(make("td", null, { colspan: this.columns.length }), ...this.detail(row)));
      line.after(detail);
    }

    show(row) {
      if (!this.chosen.includes(row)) this.clear();
      this.page = Math.floor(this.chosen.indexOf(row) / PAGE);
      this.open.add(row);
      this.draw();
      const line = document.getElementById(this.id(row));
      line.scrollIntoView({ block: "start" });
      line.querySelector("button.open").focus({ preventScroll: true });
    }
  }

  // -- what journeys are ---------------------------------------------------------------------
  const place = (at) => at < 0 ? "" : J.places[at].slice(0, 3).filter(Boolean).join("/");
  const placeNode = (at) => {
    if (at < 0) return make("span", "not known");
    const [host, netns, name, role] = J.places[at];
    const where = [host, netns].filter(Boolean).join("/");
    return append(make("span"), make("span", where ? `${where} ` : "", { class: "where" }), make("b", name),
      make("span", role && role !== name ? ` ${role}` : "", { class: "where" }));
  };
  const outcome = (row) => J.outcomes[J.outcome[row]] ?? "unknown";
  const outcomeNode = (row) => make("span", outcome(row), { class: `outcome ${outcome(row)}` });
  const kind = (row) => (J.kinds[J.kind[row]] ?? "other");
  const reason = (row) => J.reasons[J.reason[row]] ?? "";
  const ambiguous = new Set(J.ambiguous);
  const rowOf = new Map(J.number.map((number, row) => [number, row]));
  const flowOf = new Map(data.flows.map((flow) => [flow[0], flow]));
  const flowWords = (row) => { const flow = flowOf.get(J.flow[row] + 1); return flow ? flow[2] : ""; };

  // Where each journey's steps begin in `deltas`.
  const lengths = J.number.map((_, row) => J.shape[row] < 0 ? -1 : J.shapes[J.shape[row]].length);
  const starts = new Array(lengths.length);
  let whole = true;
  for (let row = 0, sum = 0; row < lengths.length; row += 1) {
    starts[row] = whole ? sum : -1;
    if (lengths[row] < 0) whole = false;
    sum += Math.max(0, lengths[row] - 1);
  }

  const link = (number) => {
    const anchor = make("a", `#${number}`, { href: `#journey-${number}` });
    anchor.addEventListener("click", (event) => { event.preventDefault(); history.replaceState(null, "", `#journey-${number}`); follow(); });
    return anchor;
  };

  const shown = (value) => value === null ? "none" : String(value);
  const changeNode = ([field, before, after, cause]) => {
    if (field === "vlan" && (before === null || after === null))
      return make("span", before === null ? `+vlan ${after}` : `-vlan ${before}`, { class: "change" });
    const word = { icmp_id: "id", ip_id: "IP id", ip_len: "length", len: "length" }[field] ?? field.replaceAll("_", " ");
    const node = make("span", `${word} ${shown(before)}→${shown(after)}`, { class: "change" });
    if (cause && cause !== "forwarded" && cause !== "bridged")
      node.prepend(make("span", cause, { class: "cause" }), " ");
    return node;
  };
  const evidenceNode = (name, join) => {
    if (!name || name === "none") return make("span", "first");
    let words = name;
    if (join && join[0] > 1) words += `, 1 of ${join[0]} candidates`;
    if (join && join[1] !== null && join[1] < 0.995) words += `, ${Math.round(join[1] * 100)} % sure`;
    return make("span", words, { class: name === "sequence" || words !== name ? "evidence weak" : "evidence" });
  };
  const fieldsNode = (fields) => {
    const list = make("dl", null, { class: "fields" });
    for (const [name, value] of Object.entries(fields)) list.append(make("dt", name), make("dd", String(value)));
    return append(make("details"), make("summary", "all fields"), list);
  };

  const hopTable = (row) => {
    const example = J.examples[J.number[row]];
    if (J.shape[row] < 0 && !example)
      return make("p", "The hops of this journey are not kept in this page.");
    const table = make("table"), head = make("tr"), body = make("tbody");
    const titles = ["hop", "time", "step", "point", "what changed", "evidence"].concat(example ? ["seen"] : []);
    titles.forEach((title, at) => head.append(make("th", title, { scope: "col", class: at < 3 ? "n" : "" })));
    table.append(make("caption", `Hops of journey #${J.number[row]}`), append(make("thead"), head), body);
    const shape = J.shapes[J.shape[row]], times = [J.begin[row]];
    shape.forEach(([at, direction, cause, evidence, parent], hop) => {
      const step = hop === 0 || starts[row] < 0 ? null : J.deltas[starts[row] + hop - 1];
      const delta = step === null ? null : step * J.delta_unit_ns;
      const from = times[parent - 1];
      times.push(delta === null || from === null ? (hop ? null : J.begin[row]) : from + delta);
      if (hop === 0) times.shift();
      const time = times[hop];
      const line = make("tr");
      line.append(make("td", hop + 1, { class: "n" }), make("td", time === null ? "?" : clock(base + BigInt(time)), { class: "n" }),
        make("td", hop ? (delta === null ? "?" : `+${duration(delta)}`) : "", { class: "n" }));
      const where = append(make("td", null, { class: "point" }), direction === 0 ? "→ " : "", placeNode(at), direction === 1 ? " →" : "");
      if (parent && parent !== hop) where.append(` (from hop ${parent})`);
      const changes = make("td");
      if (example) example[hop][0].forEach((change) => changes.append(changeNode(change), " "));
      else if (cause) changes.append(make("span", J.causes[cause], { class: "cause" }));
      line.append(where, changes, append(make("td"), evidenceNode(J.evidence[evidence], example && example[hop][1])));
      if (example) line.append(append(make("td"), fieldsNode(example[hop][2])));
      body.append(line);
    });
    return append(make("div", null, { class: "scroll" }), table);
  };

  const journeyDetail = (row) => {
    const line = append(make("p"), outcomeNode(row), ` ${place(J.at[row])} ${reason(row)} `);
    if (J.request[row]) line.append(" reply to ", link(J.request[row]));
    if (J.reply[row]) line.append(" answered by ", link(J.reply[row]));
    if (ambiguous.has(row)) line.append(" ", make("span", "ambiguous: several packets fit one of its joins", { class: "evidence weak" }));
    const flow = flowOf.get(J.flow[row] + 1);
    if (flow && flow[3]) line.append(` · translated to ${flow[3]}`);
    return [line, hopTable(row)];
  };

  const numbers = (length) => Array.from({ length }, (_, at) => at);
  const present = (values) => [...new Set(values)].filter(Boolean).sort();
  const text = (show) => ({ show: (row) => document.createTextNode(show(row)), value: show });

  const journeys = () => new Grid(document.querySelector('[data-table="journeys"]'), {
    name: "Journeys", hint: "address, port, point, reason, #number",
    rows: numbers(J.number.length),
    id: (row) => `journey-${J.number[row]}`,
    columns: [
      { title: "journey", numeric: true, show: (row) => `#${J.number[row]}`, value: (row) => J.number[row] },
      { title: "began (UTC)", numeric: true, show: (row) => document.createTextNode(began(row)), value: (row) => J.begin[row] },
      { title: "flow", ...text(flowWords) },
      { title: "kind", ...text(kind) },
      { title: "outcome", show: outcomeNode, value: outcome },
      { title: "last point", show: (row) => placeNode(J.at[row]), value: (row) => place(J.at[row]) },
      { title: "hops", numeric: true, show: (row) => document.createTextNode(lengths[row] < 0 ? "?" : lengths[row]), value: (row) => lengths[row] },
      { title: "duration", numeric: true, show: (row) => document.createTextNode(duration(J.took[row])), value: (row) => J.took[row] },
    ],
    filters: [
      { title: "Outcome", values: present(J.number.map((_, row) => outcome(row))), of: outcome },
      { title: "Kind", values: present(J.number.map((_, row) => kind(row))), of: kind },
      { title: "Joins", values: ambiguous.size ? ["ambiguous"] : [], of: (row) => ambiguous.has(row) ? "ambiguous" : "" },
    ].filter((filter) => filter.values.length),
    matches: (row, word) => word[0] === "#" ? `#${J.number[row]}` === word
      : flowWords(row).toLowerCase().includes(word) || kind(row).includes(word) || outcome(row).includes(word)
        || place(J.at[row]).toLowerCase().includes(word) || reason(row).toLowerCase().includes(word)
        || (flowOf.get(J.flow[row] + 1)?.[3] ?? "").toLowerCase().includes(word),
    detail: journeyDetail,
  });

  const F = data.flows;
  const rowsByFlow = new Map();
  J.flow.forEach((flow, row) => {
    if (!rowsByFlow.has(flow + 1)) rowsByFlow.set(flow + 1, []);
    rowsByFlow.get(flow + 1).push(row);
  });
  const segmentTable = (row) => {
    const segments = data.flow_segments[F[row][0]];
    if (!segments || !segments.length) return "";
    const table = make("table"), head = make("tr"), body = make("tbody");
    ["from", "to", "", "packets", "lost", "retransmitted", "reordered", "missed", "p50", "p99"]
      .forEach((title, at) => head.append(make("th", title, { scope: "col", class: at > 2 ? "n" : "" })));
    table.append(make("caption", `Segments of flow ${F[row][0]}`), append(make("thead"), head), body);
    segments.forEach(([from, to, back, ...numbers]) => {
      const line = append(make("tr"), append(make("td", null, { class: "point" }), placeNode(from)),
        append(make("td", null, { class: "point" }), to < 0 ? "" : placeNode(to)), make("td", back ? "back" : ""));
      numbers.forEach((number, at) => line.append(make("td", at < 5 ? count(number) : duration(number),
        { class: at === 1 && number ? "n lost" : "n" })));
      body.append(line);
    });
    return append(make("div", null, { class: "scroll" }), table);
  };
  const flowDetail = (row) => {
    const members = rowsByFlow.get(F[row][0]) ?? [];
    const lost = members.filter((each) => ["vanished", "dropped"].includes(outcome(each)));
    const first = lost[0] ?? members[0];
    const list = append(make("p"), `${count(members.length)} journeys listed: `);
    members.slice(0, 40).forEach((each) => list.append(link(J.number[each]), " "));
    if (members.length > 40) list.append("…");
    if (first === undefined) return [segmentTable(row), list];
    return [segmentTable(row), list, make("p", lost.length ? "The first one lost:" : "The first one:"), ...journeyDetail(first)];
  };
  const cell = (at) => ({ numeric: true, show: (row) => document.createTextNode(count(F[row][at])), value: (row) => F[row][at] });
  const time = (at) => ({ numeric: true, show: (row) => document.createTextNode(duration(F[row][at])), value: (row) => F[row][at] });
  const flows = () => new Grid(document.querySelector('[data-table="flows"]'), {
    name: "Flows", hint: "address, port, id",
    rows: numbers(F.length),
    id: (row) => `flow-${F[row][0]}`,
    columns: [
      { title: "flow", numeric: true, show: (row) => String(F[row][0]), value: (row) => F[row][0] },
      { title: "protocol", ...text((row) => F[row][1]) },
      { title: "original", ...text((row) => F[row][2]) },
      { title: "translated", ...text((row) => F[row][3]) },
      { title: "packets", ...cell(4) }, { title: "lost", ...cell(5) },
      { title: "one way p50", ...time(9) }, { title: "p99", ...time(10) },
      { title: "answer p50", ...time(11) }, { title: "p99", ...time(12) },
    ],
    filters: [
      { title: "Protocol", values: present(F.map((flow) => flow[1])), of: (row) => F[row][1] },
      { title: "NAT", values: ["translated", "not translated"], of: (row) => F[row][3] ? "translated" : "not translated" },
      { title: "Losses", values: ["some lost", "none lost"], of: (row) => F[row][5] ? "some lost" : "none lost" },
    ],
    matches: (row, word) => `${F[row][1]} ${F[row][2]} ${F[row][3]}`.toLowerCase().includes(word),
    detail: flowDetail,
  });

  // -- tables that are in the page already: sorted in place ----------------------------------------
  const sortable = (table) => {
    const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
    const key = (line, at) => {
      const cell = line.cells[at], value = cell.dataset.value;
      if (value === undefined) return cell.textContent.trim().toLowerCase();
      return value === "" || value === "nan" ? null : Number(value);
    };
    heads.forEach((head, at) => {
      const button = make("button", head.textContent, { type: "button" });
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const first = head.classList.contains("n") ? "descending" : "ascending";
        const now = head.getAttribute("aria-sort");
        const order = !now ? first : now === "ascending" ? "descending" : "ascending";
        heads.forEach((each) => each.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", order);
        const sign = order === "ascending" ? 1 : -1;
        body.append(...[...body.rows].map((line) => [key(line, at), line]).sort(([a], [b]) =>
          a === b ? 0 : a === null ? 1 : b === null ? -1 : a < b ? -sign : sign).map(([, line]) => line));
      });
    });
  };

  let grid = null;
  const follow = () => {
    const found = /^#journey-(\d+)$/.exec(location.hash);
    if (found && grid && rowOf.has(Number(found[1]))) grid.show(rowOf.get(Number(found[1])));
  };
  document.querySelectorAll("table.sortable").forEach(sortable);
  flows();
  grid = journeys();
  window.addEventListener("hashchange", follow);
  follow();
  document.documentElement.dataset.ready = "yes";
})();
