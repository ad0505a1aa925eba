#include "core/graph/execution_plan.hpp"

#include <algorithm>

#include "core/base/cpu.hpp"
#include "core/base/error.hpp"
#include "core/graph/onednn.hpp"

namespace sluice {
namespace {

constexpr int kNoNode = kLabelsSource - 1;

class Planner {
 public:
  Planner(const Network& network, const ExecutorOptions& options) : network_(network), options_(options) {}

  ExecutionPlan run() {
    group_nodes();
    choose_layout();
    make_tensors();
    plan_gradients();
    set_up();
    find_lifetimes();
    place_memory();
    return std::move(plan_);
  }

 private:
  bool training() const { return options_.mode == Mode::kTraining; }
  std::size_t node_count() const { return network_.nodes().size(); }

  // --- fusion ---

  Shape shape_of(int node) const {
    if (node == kDataSource) return network_.input_shape(options_.batch);
    if (node == kLabelsSource) return Shape{options_.batch};
    return shapes_[static_cast<std::size_t>(node)];
  }

  void group_nodes() {
    std::vector<int> users(node_count(), 0);
    for (const Node& node : network_.nodes()) {
      for (int s : node.src) {
        if (s >= 0) ++users[static_cast<std::size_t>(s)];
      }
    }
    std::vector<PlannedOperation> groups;
    std::vector<std::size_t> group_of(node_count());
    for (std::size_t v = 0; v < node_count(); ++v) {
      const Node& node = network_.nodes()[v];
      std::unique_ptr<Layer> layer = network_.make_layer(node);
      std::vector<Shape> src;
      for (int s : node.src) src.push_back(shape_of(s));
      Declarations declared;
      layer->infer(src, declared);
      shapes_.push_back(declared.dst);
      const std::size_t host = find_host(node, *layer, users, groups, group_of);
      group_of[v] = host;
      if (host < groups.size()) {
        groups[host].nodes.push_back(static_cast<int>(v));
        groups[host].fused.push_back(std::move(layer));
        continue;
      }
      PlannedOperation group;
      group.nodes = {static_cast<int>(v)};
      group.layer = std::move(layer);
      group.declared = std::move(declared);
      groups.push_back(std::move(group));
    }
    // A group runs when all sources of its last layer are there; its own earlier results are seen by nobody else.
    std::stable_sort(groups.begin(), groups.end(), [](const PlannedOperation& a, const PlannedOperation& b) {
      return a.nodes.back() < b.nodes.back();
    });
    plan_.operations = std::move(groups);
  }

  /// The group that takes `node` as a post-op, or groups.size().
  std::size_t find_host(const Node& node, const Layer& layer, const std::vector<int>& users,
                        std::vector<PlannedOperation>& groups, const std::vector<std::size_t>& group_of) const {
    const std::optional<PostOp> op = options_.fuse ? layer.as_post_op(options_.mode) : std::nullopt;
    if (!op) return groups.size();
    const std::size_t candidates = op->kind == PostOp::Kind::kAdd ? 2 : 1;
    for (std::size_t k = 0; k < candidates; ++k) {
      const int producer = node.src[k];
      if (producer < 0 || users[static_cast<std::size_t>(producer)] != 1) continue;
      const std::size_t g = group_of[static_cast<std::size_t>(producer)];
      PlannedOperation& group = groups[g];
      if (group.nodes.back() != producer || !group.layer->accepts(group.setup.post_ops, *op, options_.mode)) continue;
      group.setup.post_ops.push_back(*op);
      if (op->kind == PostOp::Kind::kAdd) group.addend_node = node.src[1 - k];
      return g;
    }
    return groups.size();
  }

  // --- tensors ---

  /// Blocked activations need channel counts of whole blocks everywhere but at the input.
  void choose_layout() {
    blocked_ = options_.layout == ExecutorOptions::LayoutChoice::kBlocked;
    if (options_.layout != ExecutorOptions::LayoutChoice::kAuto) return;
    blocked_ = cpu_isa() == Isa::kAvx512;
    for (const Shape& s : shapes_) {
      if (s.rank() == 4 && s[kH] * s[kW] > 1 && s[kC] % 16 != 0) blocked_ = false;
    }
  }

  TensorDesc describe(const Shape& shape, DataType type) const {
    if (shape.rank() != 4) return {shape, type, 0};
    return {shape, type, blocked_ && shape[kC] % 16 == 0 ? 16 : shape[kC]};
  }

  int add_tensor(const TensorDesc& desc, int producer) {
    plan_.tensors.push_back({desc, producer, -1, -1});
    return static_cast<int>(plan_.tensors.size()) - 1;
  }

  int tensor_of(int node) const {
    if (node == kNoNode) return -1;
    if (node == kDataSource) return plan_.data;
    if (node == kLabelsSource) return plan_.labels;
    return plan_.tensor_of_node[static_cast<std::size_t>(node)];
  }

  // --- bytes ---

  const std::vector<int>& source_nodes(const PlannedOperation& op) const {
    return network_.nodes()[static_cast<std::size_t>(op.nodes[0])].src;
  }

  double source_range(const PlannedOperation& op) const {
    const auto& ranges = network_.source_ranges();
    const auto found = ranges.find(network_.nodes()[static_cast<std::size_t>(op.nodes[0])].name);
    return found != ranges.end() ? found->second : 0.0;
  }

  /// Of all who read a node's result or add it: one refusal counts, else one wish. The answer is wanted in floats.
  ByteWish readers_wish(int node) const {
    if (node == network_.output_node()) return ByteWish::kNever;
    ByteWish wish = ByteWish::kTakes;
    for (const PlannedOperation& op : plan_.operations) {
      const std::vector<int>& sources = source_nodes(op);
      const bool reads = std::find(sources.begin(), sources.end(), node) != sources.end();
      if (!reads && op.addend_node != node) continue;
      ByteWish own = op.layer->byte_wish(options_.skip);
      if (reads && op.declared.like_src) own = std::min(own, readers_wish(op.nodes.back()));
      if (own == ByteWish::kNever) return own;
      wish = std::max(wish, own);
    }
    return wish;
  }

  /// What one level of an operation's result stands for; 0 where it goes in floats. (Numbers below 0 have no level.)
  float byte_step(const PlannedOperation& op) const {
    const int node = op.nodes.back();
    const bool possible = options_.bytes && !training() && options_.type == DataType::kF32 && !blocked_;
    if (!possible || shape_of(node).rank() != 4 ||
        !network_.nodes()[static_cast<std::size_t>(node)].declared.nonnegative) {
      return 0;
    }
    const ByteWish own = op.layer->byte_wish(options_.skip), readers = readers_wish(node);
    if (std::min(own, readers) == ByteWish::kNever || std::max(own, readers) != ByteWish::kMultiplies) return 0;
    double range = 0;
    for (const PlannedOperation& reader : plan_.operations) {
      if (source_nodes(reader)[0] == node) range = std::max(range, source_range(reader));
    }
    return static_cast<float>(range / kMostByteLevel);
  }

  void make_tensors() {
    plan_.data = add_tensor(describe(shape_of(kDataSource), options_.type), -1);
    plan_.labels = add_tensor({shape_of(kLabelsSource), DataType::kS32, 0}, -1);
    plan_.tensor_of_node.assign(node_count(), -1);
    for (std::size_t i = 0; i < plan_.operations.size(); ++i) {
      PlannedOperation& op = plan_.operations[i];
      for (int s : source_nodes(op)) op.src.push_back(tensor_of(s));
      op.addend = tensor_of(op.addend_node);
      DataType type = op.declared.dst_type.value_or(options_.type);
      float step = byte_step(op);
      if (step > 0) type = DataType::kU8;
      if (op.declared.like_src) {
        type = plan_.tensors[static_cast<std::size_t>(op.src[0])].desc.type;
        step = plan_.tensors[static_cast<std::size_t>(op.src[0])].desc.step;
      }
      TensorDesc desc = describe(shape_of(op.nodes.back()), type);
      desc.step = step;
      op.dst = add_tensor(desc, static_cast<int>(i));
      plan_.tensor_of_node[static_cast<std::size_t>(op.nodes.back())] = op.dst;
    }
  }

  // --- gradients ---

  bool tensor_needs_gradient(int tensor) const {
    const int producer = plan_.tensors[static_cast<std::size_t>(tensor)].producer;
    return producer >= 0 && plan_.operations[static_cast<std::size_t>(producer)].needs_gradient;
  }

  void plan_gradients() {
    if (!training()) return;
    for (PlannedOperation& op : plan_.operations) {
      op.needs_gradient = std::any_of(op.nodes.begin(), op.nodes.end(), [&](int n) {
        return !network_.nodes()[static_cast<std::size_t>(n)].params.empty();
      });
      for (int s : op.src) op.needs_gradient = op.needs_gradient || tensor_needs_gradient(s);
      if (op.addend >= 0) op.needs_gradient = op.needs_gradient || tensor_needs_gradient(op.addend);
    }
    terms_.resize(plan_.tensors.size());
    for (std::size_t i = plan_.operations.size(); i-- > 0;) plan_gradients_of(plan_.operations[i]);
  }

  /// Users come first, so the gradient of op's result is complete when op's own turn has come.
  void plan_gradients_of(PlannedOperation& op) {
    const std::vector<int> terms = terms_[static_cast<std::size_t>(op.dst)];
    op.diff_src.assign(op.src.size(), -1);
    op.has_backward = op.needs_gradient && (op.declared.is_loss || !terms.empty());
    if (!op.has_backward) return;
    op.diff_dst = terms;
    const std::size_t taken = op.layer->sums_diff_dst() ? 2 : 1;
    if (terms.size() > taken) {
      op.diff_dst_terms = terms;
      op.diff_dst = {terms[0]};
    }
    for (std::size_t k = 0; k < op.src.size(); ++k) op.diff_src[k] = add_gradient(op.src[k]);
    if (op.addend >= 0) op.diff_addend = add_gradient(op.addend);
  }

  int add_gradient(int tensor) {
    if (!tensor_needs_gradient(tensor)) return -1;
    const int gradient = add_tensor(plan_.tensors[static_cast<std::size_t>(tensor)].desc, -1);
    terms_.resize(plan_.tensors.size());
    terms_[static_cast<std::size_t>(tensor)].push_back(gradient);
    return gradient;
  }

  // --- set-up and memory ---

  void set_up() {
    for (PlannedOperation& op : plan_.operations) {
      Setup& setup = op.setup;
      setup.mode = options_.mode;
      setup.batch = options_.batch;
      setup.allow_winograd = options_.winograd;
      setup.record_decisions = options_.record_decisions && !training();
      setup.may_skip = options_.skip && !training();
      for (int s : op.src) setup.src.push_back(plan_.tensors[static_cast<std::size_t>(s)].desc);
      for (int s : source_nodes(op)) {
        setup.src_nonnegative.push_back(s >= 0 && network_.nodes()[static_cast<std::size_t>(s)].declared.nonnegative);
      }
      if (options_.bytes) setup.src_range = source_range(op);
      setup.dst = plan_.tensors[static_cast<std::size_t>(op.dst)].desc;
      if (op.addend >= 0) setup.addend = plan_.tensors[static_cast<std::size_t>(op.addend)].desc;
      for (std::size_t k = 0; k < op.src.size(); ++k) setup.needs_diff_src.push_back(training() && op.diff_src[k] >= 0);
      try {
        op.layer->setup(setup);
      } catch (const dnnl::error& error) {
        const Section& section = network_.nodes()[static_cast<std::size_t>(op.nodes[0])].section;
        throw Error(ExitCode::kUsage, concat(section.where("type"), ": oneDNN cannot compute this layer (",
                                             error.what(), "); change its keys or the shape of its sources"));
      }
      plan_.scratch_bytes = std::max(plan_.scratch_bytes, setup.scratch_bytes);
    }
  }

  void use(int tensor, int time) {
    if (tensor < 0) return;
    int& last = plan_.tensors[static_cast<std::size_t>(tensor)].last_use;
    last = std::max(last, time);
  }

  void find_lifetimes() {
    const int end = 2 * static_cast<int>(plan_.operations.size());
    for (std::size_t i = 0; i < plan_.operations.size(); ++i) {
      const PlannedOperation& op = plan_.operations[i];
      const int now = static_cast<int>(i), back = plan_.backward_time(i);
      for (int s : op.src) {
        use(s, now);
        if (op.has_backward && op.setup.backward_uses_src) use(s, back);
      }
      use(op.addend, now);
      use(op.dst, now);
      if (op.has_backward && op.setup.backward_uses_dst) use(op.dst, back);
      if (op.declared.is_loss) use(op.dst, end);
      for (int g : op.diff_dst) use(g, back);
      for (int g : op.diff_dst_terms) use(g, back);
      for (int g : op.diff_src) use(g, back);
      use(op.diff_addend, back);
    }
    use(tensor_of(network_.output_node()), end);
    use(plan_.data, end);  // a batch can be run again
    use(plan_.labels, end);
  }

  void request(int tensor, int first) {
    if (tensor < 0) return;
    PlannedTensor& t = plan_.tensors[static_cast<std::size_t>(tensor)];
    if (t.request < 0) t.request = plan_.memory.add(t.desc.bytes(), first, std::max(first, t.last_use));
  }

  /// The result takes over the addend's memory when nobody else reads the addend then or later.
  bool take_over_addend(const PlannedOperation& op, int now) {
    if (op.addend < 0 || !op.setup.dst_starts_as_addend) return false;
    if (std::find(op.src.begin(), op.src.end(), op.addend) != op.src.end()) return false;  // the layer reads it too
    const PlannedTensor& addend = plan_.tensors[static_cast<std::size_t>(op.addend)];
    PlannedTensor& dst = plan_.tensors[static_cast<std::size_t>(op.dst)];
    if (addend.producer < 0 || addend.last_use > now || addend.desc.bytes() != dst.desc.bytes()) return false;
    dst.request = addend.request;
    plan_.memory.extend(dst.request, dst.last_use);
    return true;
  }

  /// The result takes over the memory of source 0 when nobody reads that afterwards.
  bool take_over_src(const PlannedOperation& op, int now) {
    if (!op.setup.dst_may_overwrite_src) return false;
    const PlannedTensor& src = plan_.tensors[static_cast<std::size_t>(op.src[0])];
    PlannedTensor& dst = plan_.tensors[static_cast<std::size_t>(op.dst)];
    if (src.producer < 0 || src.last_use > now || src.desc.bytes() != dst.desc.bytes()) return false;
    dst.request = src.request;
    plan_.memory.extend(dst.request, dst.last_use);
    return true;
  }

  void place_memory() {
    request(plan_.data, -1);
    request(plan_.labels, -1);
    for (std::size_t i = 0; i < plan_.operations.size(); ++i) {
      PlannedOperation& op = plan_.operations[i];
      const int now = static_cast<int>(i), back = plan_.backward_time(i);
      if (!take_over_addend(op, now) && !take_over_src(op, now)) request(op.dst, now);
      for (std::int64_t bytes : op.setup.saved_bytes) {
        op.saved_requests.push_back(plan_.memory.add(bytes, now, op.has_backward ? back : now));
      }
      for (int g : op.diff_src) request(g, back);
      request(op.diff_addend, back);
    }
    plan_.memory.place();
  }

  const Network& network_;
  const ExecutorOptions& options_;
  ExecutionPlan plan_;
  std::vector<Shape> shapes_;
  std::vector<std::vector<int>> terms_;  ///< gradients of each tensor, one from each user
  bool blocked_ = false;
};

}  // namespace

ExecutionPlan plan_execution(const Network& network, const ExecutorOptions& options) {
  return Planner(network, options).run();
}

}  // namespace sluice
